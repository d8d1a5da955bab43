#include "core/image/relocate.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/directory_source.h"
#include "core/image/empty_zonepath.h"
#include "core/image/tree_compare.h"
#include "core/zone/owner_record.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

constexpr const char* kMarkerName = ".zoneferry-moving";
constexpr const char* kCopyMarkerName = ".zoneferry-copying";
constexpr std::uint64_t kMarkerBytesMax = 4096;

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

class Mover {
public:
    Mover(const ZoneStore& store, const ZoneLock& lock, std::string from, std::string to)
        : store_(store), lock_(lock), from_(std::move(from)), to_(std::move(to)) {}

    Result<Relocation> run(const InstallProgressCallback& progress) {
        ZF_TRY(const UniqueFd source, open_zone_tree(store_.root(), from_));
        ZF_TRY(const std::vector<std::string> mounts, mounts_below(source.get()));
        if (!mounts.empty()) {
            return Error(Errc::conflict, "these file systems are still mounted below the zonepath: " +
                                             printable(join(mounts, ", ")) + "; nothing was changed")
                .remedy("umount " + printable(mounts.back()));
        }
        // Of the copy that brought the zone here: it would travel, and name this place an unfinished one.
        if (::unlinkat(source.get(), kCopyMarkerName, 0) != 0 && errno != ENOENT)
            return system_error("remove the mark of an earlier move", errno);
        ZF_TRY_STATUS(clear_broken_copy());
        ZF_TRY(const UniqueFd target, make_empty_zonepath(store_.root(), to_, lock_.name()));
        Status done = rename(source.get());
        if (!done && (done.error().system_error() == EXDEV || done.error().system_error() == EBUSY)) {
            report_.copied = true;
            done = copy(source.get(), target.get(), progress);
        }
        if (!done) return std::move(done).error();
        return std::move(report_);
    }

    // A move to here that broke off between the rename and the configuration.
    bool is_half_done() const {
        if (path_exists(store_.root().at(from_)) && from_ != to_) return false;
        const auto there = open_zone_tree(store_.root(), to_);
        if (!there) return false;
        const std::string text = marker_in(there->get(), kMarkerName);
        return text.starts_with("zone=" + lock_.name().str() + "\n") && text.ends_with("\nto=" + to_ + "\n");
    }

    Status finish_rename() {
        ZF_TRY_STATUS(store_.change_zonepath(lock_, to_));
        return remove_file(store_.root().at(to_) + "/" + kMarkerName);
    }

private:
    std::string marker() const { return "zone=" + lock_.name().str() + "\nfrom=" + from_ + "\nto=" + to_ + "\n"; }

    static std::string marker_in(int zonepath, const char* name) {
        const auto file = open_beneath(zonepath, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
        return file ? read_to_end(file->get(), kMarkerBytesMax).value_or("") : "";
    }

    // A copy of this very zone to this very place that broke off before the zone lived there. Its marker goes last.
    Status clear_broken_copy() {
        const auto there = open_zonepath(store_.root(), to_);
        if (!there || marker_in(there->get(), kCopyMarkerName) != marker()) return {};
        ZF_TRY_STATUS(clear(there->get(), kCopyMarkerName));
        ZF_TRY_STATUS(clear(there->get()));
        report_.notes.push_back("the part that an earlier move had left in " + to_ + " was removed");
        return {};
    }

    Status rename(int source) {
        const std::string old_path = store_.root().at(from_);
        const std::string new_path = store_.root().at(to_);
        ZF_TRY_STATUS(replace_file_at(source, kMarkerName, marker(), 0600));
        // Over an empty directory: made just now, and the kernel refuses one that is no longer empty.
        if (::rename(old_path.c_str(), new_path.c_str()) != 0) {
            const int why = errno;
            (void)::unlinkat(source, kMarkerName, 0);
            if (why != EXDEV && why != EBUSY) (void)::rmdir(new_path.c_str());
            return system_error("rename " + from_ + " to " + to_, why);
        }
        for (const std::string& path : {parent_of(from_), parent_of(to_)})
            ZF_TRY_STATUS(sync_directory(store_.root().at(path)));
        Status done = finish_rename();
        if (done) return done;
        if (::rename(new_path.c_str(), old_path.c_str()) != 0) {
            return Error(Errc::io, done.error().text() + "; the zone lies in " + to_ + " now")
                .remedy("zoneadm -z " + lock_.name().str() + " move " + to_);
        }
        (void)::unlinkat(source, kMarkerName, 0);
        return done;
    }

    Status copy(int source, int target, const InstallProgressCallback& progress) {
        Status done = replace_file_at(target, kCopyMarkerName, marker(), 0600);
        if (done) done = copy_and_verify(source, target, progress);
        if (done) done = store_.change_zonepath(lock_, to_);
        if (!done) {
            Error failure = std::move(done).error();
            if (const Status cleared = clear(target); !cleared)
                return Error(failure.code(), failure.text() + "; and " + to_ +
                                                 " could not be emptied again: " + cleared.error().text());
            (void)::rmdir(store_.root().at(to_).c_str());
            return std::move(failure).during("moving zone " + lock_.name().str() + " (it stays where it was)");
        }
        // From here on the zone lives in the new place: what is left of the old one is only told.
        (void)::unlinkat(target, kCopyMarkerName, 0);
        if (const Status cleared = clear(source); !cleared) {
            report_.notes.push_back("a rest of the zone is left in " + from_ + ": " + cleared.error().text());
        } else if (::rmdir(store_.root().at(from_).c_str()) != 0) {
            report_.notes.push_back("the empty directory " + from_ + " could not be removed");
        }
        return {};
    }

    Status copy_and_verify(int source, int target, const InstallProgressCallback& progress) {
        InstallReport ignored;
        UniqueFd own(::fcntl(target, F_DUPFD_CLOEXEC, 0));
        if (!own) return system_error("dup", errno);
        ZF_TRY(ImageWriter writer, ImageWriter::create(std::move(own)));
        ZF_TRY_STATUS(copy_directory(source, writer, ignored, progress, {.scope = CopyScope::everything}));
        ZF_TRY_STATUS(writer.finish());
        ZF_TRY_STATUS(writer.sync());
        if (progress) progress({"comparing", writer.files(), writer.bytes()});
        return require_equal_trees(source, target, kCopyMarkerName);
    }

    static Status clear(int directory, std::string_view except = {}) {
        ZF_TRY(const std::vector<std::string> names, list_directory_fd(directory));
        for (const std::string& name : names) {
            if (name != except) ZF_TRY_STATUS(remove_tree_at(directory, name));
        }
        return {};
    }

    ZoneStore store_;
    const ZoneLock& lock_;
    std::string from_;
    std::string to_;
    Relocation report_;
};

Status check_place(const ZoneStore& store, const ZoneName& name, const std::string& from, const std::string& to) {
    ZoneConfig wanted;
    wanted.name = name.str();
    wanted.zonepath = to;
    if (!is_plain_path(to) || to == "/") {
        return Error(Errc::invalid, "the new zonepath '" + printable(to) + "' is not an absolute, plain path below /");
    }
    if (is_at_or_below(to, from) || is_at_or_below(from, to)) {
        return Error(Errc::conflict, "the new zonepath " + to + " and the old one, " + from + ", overlap")
            .remedy("choose another place");
    }
    return store.check_overlap(wanted);
}

}  // namespace

Result<Relocation> relocate_zone(const ZoneStore& store, const ZoneLock& lock, const std::string& zonepath,
                                 const InstallProgressCallback& progress) {
    ZF_TRY(const ZoneEntry entry, store.find(lock.name()));
    const std::string zone = "zone " + entry.name.str();
    if (entry.state == ZoneState::configured) {
        return Error(Errc::conflict, zone + " is only configured: there is nothing to move")
            .remedy("zonecfg -z " + entry.name.str() + " set zonepath=" + printable(zonepath));
    }
    if (entry.state != ZoneState::installed) {
        return Error(Errc::conflict, zone + " is incomplete and cannot be moved")
            .remedy(incomplete_remedy(store.root(), entry.name.str(), entry.zonepath));
    }
    Mover mover(store, lock, entry.zonepath, zonepath);
    if (mover.is_half_done()) {
        ZF_TRY_STATUS(mover.finish_rename());
        return Relocation{false, {"a move to " + zonepath + " that had broken off was finished"}};
    }
    ZF_TRY_STATUS(check_place(store, entry.name, entry.zonepath, zonepath));
    if (Status ours = may_boot(store.root(), entry.name, entry.zonepath); !ours)
        return std::move(ours).error().during("moving is refused");
    return mover.run(progress);
}

}  // namespace zoneferry
