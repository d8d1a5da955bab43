// pkginstall and pkgremove on a zone, one package at a time, as update on attach uses them:
//
//   remove, for good    preinstall's counterpart runs: preremove, r.CLASS of the classes in reverse order, postremove;
//                       then its directory goes. (pkgremove -F, which the original used, ran none of them; here they
//                       run for packages that do not come back.)
//   install -h -t -z    checkinstall, before anything is touched; then: pkginfo and scripts are stored, preinstall,
//                       i.CLASS in the order of CLASSES, what is on the disk is recorded, postinstall. Hollow packages:
//                       their directory only. A class whose paths are all inherited is skipped, and postinstall where
//                       all paths of the package are.
//
// Files of class none and directories are in place before (svr4_update.cpp). The contents file is a table in memory; it
// is written once, at the end.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/attach/svr4_package.h"
#include "core/attach/svr4_scripts.h"
#include "core/attach/update.h"
#include "core/attach/zone_files.h"
#include "core/packages/svr4/contents_table.h"

namespace zoneferry {

class Svr4Installer {
public:
    // All outlive this. contents: the zone's, changed here.
    Svr4Installer(const UpdateJob& job, const Svr4Scripts& scripts, ContentsTable& contents, int host_root)
        : job_(job), scripts_(scripts), contents_(contents), zone_(job.zone_root), host_root_(host_root) {}

    // Asks the package's checkinstall; its answers may change parameters, classes and paths.
    Status check(SpooledPackage& package, bool is_update) const;

    // The scripts of a package that goes for good. Its files of class none are the caller's to remove.
    Status run_removal(const std::string& package) const;
    bool has_removal_script(const std::string& package, const std::string& klass) const;
    // /var/sadm/pkg/PKG and what the contents file says of it.
    Status forget(const std::string& package);

    // The script that installs this class; "" if it is copied as class none is.
    std::string install_script(const SpooledPackage& package, const std::string& klass) const;
    Status install(const SpooledPackage& package, bool is_update);

    // Mode, owner and group of an entry for the zone; what it leaves open ('?') is taken from `from`.
    ZoneFileAttributes attributes_of(const PkgmapEntry& entry, const struct stat& from) const;

private:
    // An id that the zone does not know: neither the host's, which is somebody else there, nor any privilege.
    void give_to_root(const PkgmapEntry& entry, const std::string& who, std::uint32_t& id, mode_t& mode) const;
    Status store(const SpooledPackage& package) const;
    Status record(const SpooledPackage& package);
    Status record_edited(const SpooledPackage& package);
    Status install_class(const SpooledPackage& package, const std::string& klass, bool is_update) const;
    Status put_if_missing(const SpooledPackage& package, const PkgmapEntry& entry) const;
    Status run_own(const SpooledPackage& package, const std::string& name, bool is_update) const;
    Result<UniqueFd> open_spooled(const SpooledPackage& package, const PkgmapEntry& entry) const;

    const UpdateJob& job_;
    const Svr4Scripts& scripts_;
    ContentsTable& contents_;
    ZoneFiles zone_;
    int host_root_;
    mutable std::set<std::string> told_;  // unknown owners and groups
};

}  // namespace zoneferry
