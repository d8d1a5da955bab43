// The sink that writes: a stack of held directory descriptors below staging, every call *at() on its top.
//
// Hard links and changed files: a file is always written into a new inode (the old name is unlinked first), never
// through an existing one. A name that was linked to others yesterday and is a file of its own today can then not
// change the others' content, and the sender need not know the target's link counts: when an inode changes, its
// change time changes for all its names, so all of them are sent, the first as a file and the others as links to it.
// The one exception is a file continued from an earlier, interrupted pass: it is the inode that this move made.
//
// Nothing is ever followed: names are created O_EXCL or opened through openat2 without links and without crossing
// a mount, and metadata goes to the held descriptor.
#pragma once

#include <string>
#include <vector>

#include "core/base/fd.h"
#include "transfer/attributes.h"
#include "transfer/decoder.h"
#include "transfer/devices.h"

namespace zoneferry {

class TreeWriter final : public TreeSink {
public:
    TreeWriter(UniqueFd staging, DevicePolicy devices, std::vector<std::string> preserved);

    Status clear() override;
    Status enter(const EnterRecord& record) override;
    Status leave(const LeaveRecord& record) override;
    Status file(const FileRecord& record) override;
    Status data(const DataRecord& record) override;
    Status file_end() override;
    Status link(const LinkRecord& record) override;
    Status symlink(const SymlinkRecord& record) override;
    Status special(const SpecialRecord& record) override;
    Status remove(const RemoveRecord& record) override;

    Status sync();  // everything written so far is on the disk when it returns

private:
    struct Level {
        UniqueFd fd;
        std::string name;
        bool is_new = false;  // made in this pass: holds nothing and has no ACL to inherit
    };
    int top() const { return levels_.back().fd.get(); }
    Error naming(Error error, std::string_view name) const;
    Status make_place(const std::string& name);

    DevicePolicy devices_;
    std::vector<std::string> preserved_;
    UniqueFd root_;  // a second descriptor of staging, for links and sync
    std::vector<Level> levels_;
    UniqueFd file_;
    std::string file_name_;
    std::uint64_t file_size_ = 0;
    Metadata file_metadata_;
    OwnedXattrs file_xattrs_;  // what file_metadata_ points into: its record is gone when the file ends
};

}  // namespace zoneferry
