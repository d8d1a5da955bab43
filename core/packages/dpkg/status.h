// The dpkg status file: stanzas parted by empty lines, each a list of fields.
//
//     Package: libc6                     field: value; names without regard to case
//     Status: install ok installed       want flag state
//     Description: first line
//      continued                         a line that begins with a blank continues the field
//
// Strict where silence would lose a package: every stanza must hold Package, Status and (if the package's
// files are there) Version and Architecture; no field twice; no line that is neither a field nor a
// continuation; the file must end with a newline.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

enum class DpkgState {
    not_installed,
    config_files,  // removed, only its configuration is left
    half_installed,
    unpacked,
    half_configured,
    triggers_awaited,
    triggers_pending,
    installed,
};

std::string_view dpkg_state_name(DpkgState state);  // as in the file: "half-configured"

struct DpkgPackage {
    std::string name;
    std::string version;
    std::string architecture;  // "amd64", "all"
    std::string multi_arch;    // "same", "foreign", ...; empty: no
    std::string depends;       // as written, continuation lines joined by a newline; likewise below
    std::string pre_depends;
    std::string breaks;
    std::string conflicts;
    std::string provides;
    std::string installed_size;  // in KiB
    std::string conffiles;       // lines " PATH MD5 [obsolete]"
    bool essential = false;
    bool held = false;                // want = hold
    bool reinstall_required = false;  // flag = reinstreq
    DpkgState state = DpkgState::not_installed;
    std::size_t line = 0;  // where its stanza begins
    std::string stanza;    // the raw text, ending with one newline, without the empty line

    // Its files are on the disk and belong to `version`, configured or not.
    bool has_files() const {
        return state != DpkgState::not_installed && state != DpkgState::config_files &&
               state != DpkgState::half_installed;
    }
    // Fully installed: in order, or only waiting for a trigger.
    bool is_installed() const {
        return !reinstall_required && (state == DpkgState::installed || state == DpkgState::triggers_awaited ||
                                       state == DpkgState::triggers_pending);
    }
    // What info/ calls it: "libc6:amd64" for Multi-Arch: same, else "adduser".
    std::string info_name() const { return multi_arch == "same" ? name + ":" + architecture : name; }
};

// In the file's order. file names the source in errors (Errc::corrupt, with the line).
Result<std::vector<DpkgPackage>> parse_dpkg_status(std::string_view text, std::string_view file);

}  // namespace zoneferry
