// The sink that writes: a stack of held directory descriptors below staging, every call *at() on its top.
//
// Hard links and changed files: a fresh file is always written into a new inode (the old name is unlinked first), so
// that a name that was linked to others yesterday and is a file of its own today cannot change the others' content.
//
// A large file of which only some blocks changed is written in place. Copying it first would cost its whole size in
// reads, writes and space (ext4 has no reflinks), and nobody runs what lies in staging: half a patch is as good as any
// other unfinished pass, and the sender's block map says after an interruption which blocks are sure (resume.h). Other
// names of the inode change with it; the sender patches only what is the same inode at its side too, where they have
// all changed as well and are said again.
//
// What is moved within the tree is renamed, not sent again. If its old place comes earlier in the order than the new
// one, it waits in staging/kStashDirectory; what nobody has claimed when the pass ends is removed.
//
// Immutable and append-only entries are thawed when something below or in them must change; what they are is put back
// by the metadata that every changed entry carries.
//
// Nothing is ever followed: names are created O_EXCL or opened through openat2 without links and without crossing
// a mount, and metadata goes to the held descriptor.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fd.h"
#include "transfer/attributes.h"
#include "transfer/decoder.h"
#include "transfer/devices.h"
#include "transfer/new_files.h"
#include "transfer/page_cache.h"

namespace zoneferry {

class RecordWriter final : public TreeSink {
public:
    // threads: that write, the caller's among them.
    RecordWriter(UniqueFd staging, DevicePolicy devices, std::vector<std::string> preserved, unsigned threads);

    Status begin(const BeginRecord& record) override;
    Status enter(const EnterRecord& record) override;
    Status leave(const LeaveRecord& record) override;
    Status file(const FileRecord& record) override;
    Status data(const DataRecord& record) override;
    Status file_end() override;
    Status link(const LinkRecord& record) override;
    Status symlink(const SymlinkRecord& record) override;
    Status special(const SpecialRecord& record) override;
    Status remove(const RemoveRecord& record) override;
    Status stash(const StashRecord& record) override;
    Status hole(const HoleRecord& record) override;
    Status end() override;

    // What the segment at hand has brought is written when it returns; call it before those bytes go, also after an
    // error.
    Status flush();
    Status sync();  // everything written so far is on the disk when it returns
    // What could not be made as it is at the source, one sentence each, with the first entry named.
    std::vector<std::string> notes() const;

private:
    int top() const { return levels_.back()->fd.get(); }
    Error naming(Error error, std::string_view name) const;
    Status make_place(const std::string& name);
    Status remove_stash();
    Result<UniqueFd> directory_of(const std::vector<std::string_view>& path);
    Status take_from_path(const Origin& origin, const std::string& name, bool is_directory);
    Status take_from_stash(const Origin& origin, const std::string& name);
    Result<UniqueFd> open_file_here(const std::string& name);
    Status begin_file(const FileRecord& record);
    Status go_on_by_itself();
    void copy_metadata(const Metadata& metadata);
    void note_left(const FileAttributes& left, std::string_view name);

    DevicePolicy devices_;
    std::vector<std::string> preserved_;
    UniqueFd root_;   // a second descriptor of staging, for links and sync
    UniqueFd stash_;  // made when the first thing is put aside
    std::uint32_t stashed_ = 0;
    std::vector<std::shared_ptr<HeldDirectory>> levels_;
    std::optional<NewFile> new_file_;  // begun in this segment: the crew's if it ends there
    UniqueFd file_;                    // otherwise
    std::string file_name_;
    std::uint64_t file_size_ = 0;
    Metadata file_metadata_;
    OwnedXattrs file_xattrs_;  // what file_metadata_ points into: its record is gone when the file ends
    bool file_is_new_ = true;
    WrittenFiles written_;          // the large ones
    std::uint64_t left_count_ = 0;  // entries whose attributes this file system does not have
    std::string left_first_;
    FileCrew crew_;  // last: it uses what is held above
};

}  // namespace zoneferry
