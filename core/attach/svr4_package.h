// One SVR4 package of the global zone, as it is spooled there for zones:
//
//   /var/sadm/pkg/PKG/save/pspool/PKG/   pkginfo, pkgmap
//     install/                           depend, copyright, checkinstall, preinstall, i.CLASS, r.CLASS, ..., response
//     root/... or reloc/...              pristine copies of the e and v files
//
// All other files are those of the global zone itself. The answers to a request script are install/response.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/packages/svr4/parameters.h"
#include "core/packages/svr4/pkgmap.h"

namespace zoneferry {

struct SpooledPackage {
    std::string name;
    std::string directory;  // on the host: .../save/pspool
    bool is_hollow = false;
    ParameterList parameters;          // spooled pkginfo and answers
    ParameterList host_parameters;     // as the global zone has it installed: patches
    std::string map_text;              // the pkgmap: its paths may depend on parameters
    std::vector<PkgmapEntry> entries;  // of the classes that are installed
    std::vector<std::string> install;  // names in install/, sorted

    bool has(std::string_view file) const;  // in install/
    std::vector<std::string> classes() const;
    // Reads entries from map_text with the parameters as they are now, without classes that are not in CLASSES.
    Status read_map();
};

// version: what the plan says; another one in the spool is Errc::conflict. Errc::not_found when it is not spooled.
Result<SpooledPackage> load_spooled_package(int host_root, const std::string& name, const std::string& version);

// The lines of a response file over the parameters, but for those that say what the package is.
Status take_answers(ParameterList& parameters, std::string_view text, std::string_view file);

// Exactly SUNW_PKG_HOLLOW=true counts.
bool is_hollow(const ParameterList& parameters);

}  // namespace zoneferry
