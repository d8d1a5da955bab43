// The dpkg database below a root: which packages there are and which paths each one delivered.
// Layout (/var/lib/dpkg): status; info/NAME.list or info/NAME:ARCH.list, one path a line; diversions;
// updates/NNNN, the journal of a dpkg that is running or was killed.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/fd.h"
#include "core/packages/dpkg/status.h"

namespace zoneferry {

// A path that dpkg-divert moved aside: other packages' `original` lies at `to`.
struct DpkgDiversion {
    std::string original;
    std::string to;
    std::string package;  // the one that keeps `original`; ":" for a local diversion
};

class DpkgDatabase {
public:
    // root is an open directory: the global zone's root, or any other with a dpkg database in it. The
    // database is checked as a whole: a journal (Errc::busy), a damaged status file, or a file list whose
    // package the status file does not know (the status file was cut) are errors.
    static Result<DpkgDatabase> open(int root);

    // All stanzas, sorted by name and architecture; also packages that are not installed.
    const std::vector<DpkgPackage>& packages() const { return packages_; }
    // Without an architecture: the native one, "all", or the only one there is.
    const DpkgPackage* find(std::string_view name, std::string_view architecture = "") const;
    const std::string& native_architecture() const { return native_architecture_; }
    // As people and manifests name it: "libc6", of a foreign architecture "libc6:i386".
    std::string shown_name(const DpkgPackage& package) const;

    // The package's .list as it is: paths as dpkg wrote them, one a line, parents before children.
    Result<std::string> file_list_text(const DpkgPackage& package) const;
    // The same, split; "/." is left out.
    Result<std::vector<std::string>> file_list(const DpkgPackage& package) const;
    static std::string list_path(const DpkgPackage& package);  // for errors: "/var/lib/dpkg/info/NAME.list"
    Result<std::vector<DpkgDiversion>> diversions() const;
    // An open directory: /var/lib/dpkg/info, for maintainer scripts, md5sums and so on.
    int info_directory() const { return info_.get(); }
    const std::vector<std::string>& info_names() const { return info_names_; }  // sorted

private:
    Status check_journal(int root) const;
    Status check_lists() const;
    Status check_list(const DpkgPackage& package, std::string_view text, const std::string& shown) const;
    void find_native_architecture();

    UniqueFd root_;
    UniqueFd info_;
    std::vector<std::string> info_names_;
    std::vector<DpkgPackage> packages_;
    std::string native_architecture_;
};

// Goes through a .list. is_parent: the next path lies below this one (dpkg lists parents first), so this directory
// may be only the way to something else. visit ends it by returning false. Errc::corrupt with file and line.
Status for_each_dpkg_path(std::string_view text, std::string_view file,
                          const std::function<bool(std::string_view path, bool is_parent)>& visit);

Result<std::vector<DpkgDiversion>> parse_dpkg_diversions(std::string_view text, std::string_view file);

}  // namespace zoneferry
