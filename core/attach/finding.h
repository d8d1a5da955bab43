// One thing a check found. A check gathers all of them, of both hosts, before anything is touched.
#pragma once

#include <string>
#include <vector>

namespace zoneferry {

enum class Side { source, target };
enum class Severity {
    info,   // worth knowing
    warn,   // will work, but look at it
    block,  // the move or attach is refused
};

struct Finding {
    std::string code;  // stable, for scripts: "PKG_VERSION_MISMATCH"; the list is in docs/findings.md
    Side side = Side::target;
    Severity severity = Severity::block;
    std::string subject;  // what it is about: a package, a path, an address
    std::string source;   // the value at the source, if there is one
    std::string target;   // the value at the target, if there is one
    std::string message;  // one sentence
    std::string remedy;   // what to do or type

    bool operator==(const Finding&) const = default;
};

inline bool is_blocked(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) {
        if (finding.severity == Severity::block) return true;
    }
    return false;
}

}  // namespace zoneferry
