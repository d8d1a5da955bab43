// The scripts of SVR4 packages, run in the scratch zone: with the host's userland, the zone at /a, and the environment
// that pkginstall and pkgremove give them.
//
//   /usr/sadm/install/scripts/{i,r}.CLASS   the host's, if it has them; else ours (svr4_class_scripts.cpp) at
//   kOurScripts /var/sadm/pkg/PKG/save/pspool           the spooled package, read-only; INST_DATADIR /run/update the
//   update's work directory, read-only: files of classes that the global
//                                           zone's own copy is the source of
//   /a/usr, ...                             inherited directories, read-only
//   /etc/passwd, /etc/group                 the zone's, so that names mean its users
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/attach/scratch_zone.h"
#include "core/attach/update.h"
#include "core/attach/zone_files.h"
#include "core/packages/svr4/parameters.h"

namespace zoneferry {

inline constexpr const char* kOurScripts = "/run/svr4/scripts";

// Standard class action scripts, by file name ("i.sed"): sed, awk, build, preserve, renamenew, renameold, manifest.
const std::vector<std::pair<std::string, std::string>>& standard_class_scripts();

struct Svr4Script {
    std::string package;
    std::string path;                    // inside the scratch zone
    std::vector<std::string> arguments;  // after the path
    std::string input;
    ParameterList parameters;  // of the package
    bool is_update = false;    // UPDATE=yes: another version is, or was, installed in the zone
    bool is_unprivileged = false;
};

class Svr4Scripts {
public:
    // Reads the zone's users. The job outlives this.
    static Result<Svr4Scripts> make(const UpdateJob& job);

    // What a script of the package sees.
    std::vector<std::string> environment(const Svr4Script& script) const;
    // 0 and 10, 20 (wants a reboot) are good, 2 is a note; all others, and a script that does not end, are an Error
    // with the package, the script and its last line of output.
    Status run(const Svr4Script& script) const;
    // Where the standard script of a class is inside the scratch zone; "" if the class has none.
    std::string standard_script(const std::string& name) const;

    const NameIds& users() const { return users_; }
    const NameIds& groups() const { return groups_; }

private:
    explicit Svr4Scripts(const UpdateJob& job) : job_(&job) {}
    void add_userland(ScratchSpec& spec) const;
    void add_inherited(ScratchSpec& spec) const;

    const UpdateJob* job_;
    std::string passwd_;
    std::string group_;
    NameIds users_;
    NameIds groups_;
};

}  // namespace zoneferry
