// What a dpkg package says about others (Debian Policy 7.1), parsed from its fields.
//
//     Depends: libc6 (>= 2.36), default-mta | mail-transport-agent, python3:any
//
// Clauses are parted by ',', the alternatives of one by '|'. A version relation is one of << <= = >= >>; the old < and
// > mean <= and >=. A qualifier behind ':' is dropped: which architecture a package is of is dpkg's to judge.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace zoneferry {

struct Requirement {
    std::string name;
    std::string relation;  // "<<", "<=", "=", ">=", ">>"; empty: any version
    std::string version;

    bool operator==(const Requirement&) const = default;
};

// One of these is enough.
using Clause = std::vector<Requirement>;

// Errc::corrupt for what is no list of relations; field names it in the sentence.
Result<std::vector<Clause>> parse_relations(std::string_view text, std::string_view field);

// By dpkg's order of versions. A requirement without a relation fits every version.
bool fits(const Requirement& requirement, std::string_view version);

// "libc6 (>= 2.36)".
std::string requirement_text(const Requirement& requirement);
std::string clause_text(const Clause& clause);

}  // namespace zoneferry
