// The words of `zoneadm install`, as the seed has them:
//
//     install                                                       from the host's packages
//     install --fresh [--include PACKAGE,...]                       a fresh system from the host's package sources
//     install -a ARCHIVE | -d DIR   -p | -u  [-s | -v] [...]        from a physical system's image
//
// -a and -d exclude each other; with either goes exactly one of -p and -u; -p -s -u -v and the long options go only
// with either; -s and -v exclude each other; each at most once. Letters may be written together: -pv, -pa FILE.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

struct InstallArguments {
    std::optional<std::string> archive;    // -a; "-": the standard input
    std::optional<std::string> directory;  // -d; "-": the image lies in the zonepath
    bool preserve = false;                 // -p
    bool unconfigure = false;              // -u
    bool silent = false;                   // -s
    bool verbose = false;                  // -v
    bool delete_containers = false;        // --delete-containers
    bool as_json = false;                  // --format json
    bool fresh = false;                    // --fresh
    std::vector<std::string> include;      // --include: more packages for it
    std::string sysid;                     // --sysid FILE; empty: none

    bool from_image() const { return archive || directory; }
    bool operator==(const InstallArguments&) const = default;
};

inline constexpr const char* kInstallUsage =
    "install [--fresh [--include PACKAGE,...] | -a ARCHIVE|- | -d DIR|-  -p | -u [--sysid FILE]  [-s | -v] "
    "[--delete-containers]] [--format json]";

// Pure. Errc::usage with what is wrong.
Result<InstallArguments> parse_install(const std::vector<std::string>& words);
// True if the words mean an image, rightly or wrongly: then a wrong use is told by exit status 253.
bool is_about_image(const std::vector<std::string>& words);

}  // namespace zoneferry
