#include "core/packages/relations.h"

#include <algorithm>
#include <array>

#include "core/base/text.h"
#include "core/packages/dpkg/version.h"

namespace zoneferry {
namespace {

constexpr std::size_t kClausesMax = 10'000;        // of one field; Debian's longest has 600
constexpr std::size_t kAlternativesMax = 100'000;  // of one field, in all its clauses
constexpr std::array<std::string_view, 5> kRelations = {"<<", "<=", "=", ">=", ">>"};

std::string_view known_relation(std::string_view text) {
    if (text == "<") return "<=";
    if (text == ">") return ">=";
    const auto found = std::find(kRelations.begin(), kRelations.end(), text);
    return found == kRelations.end() ? std::string_view() : *found;
}

bool is_usable(std::string_view word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

Error malformed(std::string_view text, std::string_view field) {
    return Error(Errc::corrupt, "\"" + printable(text.substr(0, 80)) + "\" in field " + std::string(field) +
                                    " is no relation to a package");
}

Result<Requirement> parse_requirement(std::string_view text, std::string_view field) {
    Requirement requirement;
    const std::size_t open = text.find('(');
    std::string_view name = trim(text.substr(0, open));
    name = name.substr(0, name.find(':'));
    if (!is_usable(name)) return malformed(text, field);
    requirement.name = name;
    if (open == std::string_view::npos) return requirement;
    std::string_view inner = trim(text.substr(open + 1));
    if (!inner.ends_with(')')) return malformed(text, field);
    inner.remove_suffix(1);
    inner = trim(inner);
    const std::size_t end = inner.find_first_not_of("<>=");
    const std::string_view relation = known_relation(inner.substr(0, end));
    const std::string_view version = end == std::string_view::npos ? std::string_view() : trim(inner.substr(end));
    if (relation.empty() || !is_usable(version)) return malformed(text, field);
    requirement.relation = relation;
    requirement.version = version;
    return requirement;
}

}  // namespace

Result<std::vector<Clause>> parse_relations(std::string_view text, std::string_view field) {
    std::vector<Clause> clauses;
    std::size_t alternatives = 0;
    std::string joined(text);
    std::replace(joined.begin(), joined.end(), '\n', ' ');
    std::replace(joined.begin(), joined.end(), '\t', ' ');
    for (const std::string_view part : split(joined, ',')) {
        if (trim(part).empty()) continue;
        if (clauses.size() == kClausesMax) return malformed(text, field);
        Clause clause;
        for (const std::string_view alternative : split(part, '|')) {
            ZF_TRY(Requirement requirement, parse_requirement(trim(alternative), field));
            if (++alternatives > kAlternativesMax) return malformed(text, field);
            clause.push_back(std::move(requirement));
        }
        clauses.push_back(std::move(clause));
    }
    return clauses;
}

bool fits(const Requirement& requirement, std::string_view version) {
    if (requirement.relation.empty()) return true;
    const std::weak_ordering order = compare_dpkg_versions(version, requirement.version);
    if (requirement.relation == "<<") return order < 0;
    if (requirement.relation == "<=") return order <= 0;
    if (requirement.relation == "=") return order == 0;
    if (requirement.relation == ">=") return order >= 0;
    return order > 0;
}

std::string requirement_text(const Requirement& requirement) {
    if (requirement.relation.empty()) return printable(requirement.name);
    return printable(requirement.name) + " (" + requirement.relation + " " + printable(requirement.version) + ")";
}

std::string clause_text(const Clause& clause) {
    std::vector<std::string> alternatives;
    for (const Requirement& requirement : clause) alternatives.push_back(requirement_text(requirement));
    return join(alternatives, " | ");
}

}  // namespace zoneferry
