#include "core/image/install.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/attach/zone_tree.h"
#include "core/base/files.h"
#include "core/base/subvolume.h"
#include "core/base/text.h"
#include "core/image/archive_image.h"
#include "core/image/directory_source.h"
#include "core/image/empty_zonepath.h"
#include "core/image/fresh_system.h"
#include "core/image/host_packages.h"
#include "core/image/identity.h"
#include "core/image/zone_setup.h"
#include "core/zone/owner_record.h"
#include "core/zone/zonepath.h"

namespace zoneferry {
namespace {

Status check_source(const InstallSource& source, const ZoneConfig& config) {
    if (std::holds_alternative<FreshSystem>(source) && !config.inherited_directories.empty()) {
        return Error(Errc::unsupported, "zone " + config.name + " inherits " +
                                            printable(config.inherited_directories.front()) +
                                            ": what it has there is the host's, so it cannot be a fresh system")
            .remedy("install it without --fresh, or make it a whole-root zone");
    }
    if (is_image(source) && !config.inherited_directories.empty()) {
        return Error(Errc::unsupported, "zone " + config.name + " inherits " +
                                            printable(config.inherited_directories.front()) +
                                            "; an image can only fill a whole-root zone")
            .remedy("remove its inherit-pkg-dir resources with zonecfg, or install from the host's packages");
    }
    for (const std::string* path :
         {std::get_if<ImageDirectory>(&source) ? &std::get<ImageDirectory>(source).path : nullptr,
          std::get_if<ImageArchive>(&source) ? &std::get<ImageArchive>(source).path : nullptr}) {
        if (path != nullptr && !path->starts_with('/')) {
            return Error(Errc::usage, "the image \"" + printable(*path) + "\" must be an absolute path");
        }
    }
    return {};
}

// An image that holds no system would fail only at boot.
Status check_image(const ImageWriter& writer, PackageSystem system) {
    for (const char* wanted : {"etc", "usr"}) {
        if (!writer.contains(wanted)) {
            return Error(Errc::invalid, "the image is no system's root: it has no /" + std::string(wanted))
                .remedy("give the directory that holds etc, usr and var, or an archive made in it");
        }
    }
    if (system == PackageSystem::svr4) return {};
    if (!writer.contains("etc/os-release") && !writer.contains("usr/lib/os-release")) {
        return Error(Errc::invalid, "the image is no Linux system's root: it has no os-release file")
            .remedy("give the root of a whole Linux system");
    }
    return {};
}

class Installer {
public:
    Installer(const ZoneStore& store, const ZoneConfig& config, const InstallSteps& steps)
        : store_(store), config_(config), steps_(steps), progress_(steps.progress) {}

    Result<InstallReport> run(UniqueFd root, const InstallSource& source) {
        ZF_TRY(ImageWriter writer, ImageWriter::create(std::move(root)));
        Status done;
        if (const auto* directory = std::get_if<ImageDirectory>(&source)) {
            done = from_directory(store_.root().at(directory->path), writer);
        } else if (const auto* archive = std::get_if<ImageArchive>(&source)) {
            done = from_archive(store_.root().at(archive->path), writer);
        } else if (const auto* stream = std::get_if<ImageStream>(&source)) {
            done = from_stream(stream->fd, writer);
        } else if (std::holds_alternative<ImageInPlace>(source)) {
            done = finish_image(writer);
        } else if (const auto* zone = std::get_if<ZoneTree>(&source)) {
            done = from_zone(zone->zonepath, writer);
        } else if (const auto* fresh = std::get_if<FreshSystem>(&source)) {
            done = from_sources(*fresh, writer);
        } else {
            done = from_host(writer);
        }
        if (done && steps_.after) done = steps_.after(writer.root());
        if (done) done = writer.sync();
        if (!done) return std::move(done).error();
        report_.files = writer.files();
        report_.bytes = writer.bytes();
        return std::move(report_);
    }

private:
    void tell(const char* step, const ImageWriter& writer) {
        if (progress_) progress_({step, writer.files(), writer.bytes()});
    }

    Status from_directory(const std::string& path, ImageWriter& writer) {
        tell("copying", writer);
        ZF_TRY(const UniqueFd source, open_file(path, O_RDONLY | O_DIRECTORY));
        ZF_TRY_STATUS(copy_directory(source.get(), writer, report_, progress_, {.system = steps_.system}));
        return finish_image(writer);
    }

    Status from_archive(const std::string& path, ImageWriter& writer) {
        ZF_TRY(const UniqueFd archive, open_file(path, O_RDONLY | O_NOCTTY));
        return from_stream(archive.get(), writer);
    }

    Status from_stream(int archive, ImageWriter& writer) {
        tell("unpacking", writer);
        ImageTreeSink sink(writer, steps_.system);
        ZF_TRY_STATUS(unpack_image(archive, sink, report_, progress_));
        return finish_image(writer);
    }

    Status from_zone(const std::string& zonepath, ImageWriter& writer) {
        tell("copying", writer);
        ZF_TRY(const UniqueFd tree, open_zone_root(store_.root(), zonepath));
        ZF_TRY_STATUS(copy_directory(tree.get(), writer, report_, progress_));
        ZF_TRY_STATUS(add_mount_points(writer));
        ZF_TRY_STATUS(writer.finish());
        return give_new_identity(writer.root(), config_.name, report_.warnings);
    }

    Status finish_image(ImageWriter& writer) {
        ZF_TRY_STATUS(check_image(writer, steps_.system));
        // A Solaris system has others, which core/adjust makes.
        if (steps_.system == PackageSystem::dpkg) ZF_TRY_STATUS(add_mount_points(writer));
        tell("setting up", writer);
        return writer.finish();
    }

    std::string zone_root() const { return store_.root().at(config_.zonepath) + "/root"; }

    Status from_sources(const FreshSystem& wanted, ImageWriter& writer) {
        const auto made = make_fresh_system(store_.root(), zone_root(), config_.name, wanted.packages, progress_);
        // What was asked for by name, this host's packages may not have.
        if (!made && (made.error().code() == Errc::not_found || !wanted.packages.empty())) return made.error();
        if (!made) {
            report_.warnings.push_back("no fresh system could be made (" + made.error().text() +
                                       "): the zone has this host's packages instead");
            return from_host(writer);
        }
        report_.packages = *made;
        tell("setting up", writer);
        ZF_TRY_STATUS(add_mount_points(writer));
        return writer.finish();
    }

    Status from_host(ImageWriter& writer) {
        tell("copying", writer);
        ZF_TRY(const UniqueFd host, open_directory(store_.root().directory()));
        ZF_TRY(const DpkgDatabase database, DpkgDatabase::open(host.get()));
        ZF_TRY(const HostPolicy policy, HostPolicy::load(host.get()));
        ZF_TRY(auto aliases, read_aliases(host.get()));
        const HostPackagesPlan plan =
            plan_host_packages(database, policy, config_.inherited_directories, std::move(aliases));
        ZF_TRY_STATUS(copy_host_packages(host.get(), database, plan, writer, report_, progress_));
        tell("setting up", writer);
        ZF_TRY_STATUS(write_zone_setup(host.get(), database, plan, config_.name, writer));
        ZF_TRY_STATUS(writer.finish());
        return run_setup_programs(host.get(), plan, zone_root());
    }

    const ZoneStore& store_;
    const ZoneConfig& config_;
    const InstallSteps& steps_;
    const InstallProgressCallback& progress_;
    InstallReport report_;
};

// Back to configured with an empty zonepath; what failed first is what the user is told.
Error undo(ZoneStore& store, const ZoneLock& lock, int zonepath, bool keeps_root, Error failure) {
    Status removed = keeps_root ? Status() : remove_tree_at(zonepath, "root");
    Status state = removed ? store.change_state(lock, ZoneState::incomplete, ZoneState::configured) : Status();
    if (removed && state) return failure;
    const Error& second = removed ? state.error() : removed.error();
    return Error(failure.code(), failure.text() + "; and cleaning up failed as well: " + second.text())
        .remedy("zoneadm -z " + lock.name().str() + " uninstall -F");
}

// Exactly root/, and nothing mounted in it.
Result<UniqueFd> open_image_in_place(const HostRoot& root, const std::string& zonepath) {
    ZF_TRY(UniqueFd fd, open_zone_tree(root, zonepath));
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(fd.get()));
    for (const std::string& name : names) {
        if (name == "root") continue;
        return Error(Errc::conflict,
                     "the zonepath " + zonepath + " holds \"" + printable(name) + "\" beside root; nothing was changed")
            .remedy("move it away");
    }
    ZF_TRY(const std::vector<std::string> mounts, mounts_below(fd.get()));
    if (mounts.empty()) return fd;
    return Error(Errc::conflict,
                 "a file system is mounted in the image, at " + printable(mounts.front()) + "; nothing was changed")
        .remedy("umount " + printable(mounts.back()));
}

}  // namespace

bool is_image(const InstallSource& source) {
    return !std::holds_alternative<HostPackages>(source) && !std::holds_alternative<FreshSystem>(source) &&
           !std::holds_alternative<ZoneTree>(source);
}

Result<InstallReport> install_zone(const ZoneStore& shared_store, const ZoneLock& lock, const InstallSource& source,
                                   const InstallSteps& steps) {
    ZoneStore store = shared_store;
    const ZoneName& name = lock.name();
    ZF_TRY(const ZoneEntry entry, store.find(name));
    if (entry.state != ZoneState::configured) {
        return Error(Errc::conflict, "zone " + name.str() + " is " + std::string(state_name(entry.state)) +
                                         ": only a configured zone can be installed; nothing was changed")
            .remedy(entry.state == ZoneState::incomplete ? "zoneadm -z " + name.str() + " uninstall"
                                                         : "configure another zone: zonecfg -z NEW_ZONE");
    }
    ZF_TRY(const ZoneConfig config, store.config(name));
    ZF_TRY_STATUS(check_source(source, config));
    if (Status ours = may_boot(store.root(), name, config.zonepath); !ours) {
        return std::move(ours).error().during("installing is refused");
    }
    const bool in_place = std::holds_alternative<ImageInPlace>(source);
    ZF_TRY(const UniqueFd zonepath, in_place ? open_image_in_place(store.root(), config.zonepath)
                                             : make_empty_zonepath(store.root(), config.zonepath, name));
    if (steps.before) ZF_TRY_STATUS(steps.before(zonepath.get()));
    ZF_TRY_STATUS(store.change_state(lock, ZoneState::configured, ZoneState::incomplete));
    const auto fill = [&]() -> Result<InstallReport> {
        if (!in_place) ZF_TRY_STATUS(make_tree_root_at(zonepath.get(), "root", 0755));
        ZF_TRY(UniqueFd root, open_beneath(zonepath.get(), "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        return Installer(store, config, steps).run(std::move(root), source);
    };
    auto report = fill();
    if (!report) return undo(store, lock, zonepath.get(), in_place, std::move(report).error());
    if (Status state = store.change_state(lock, ZoneState::incomplete, ZoneState::installed); !state) {
        return undo(store, lock, zonepath.get(), in_place, std::move(state).error());
    }
    return report;
}

}  // namespace zoneferry
