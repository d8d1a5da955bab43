// Update on attach, decided: what of a zone's packages is removed, added and replaced so that the zone fits the host
// that takes it. Pure, and all or nothing: whatever would go down refuses the whole, and everything that would is
// listed.
//
// Which packages: those that the host or the zone itself takes for dependent (core/packages/inventory.h), less those of
// the global zone alone; with `everything` (-U) also what else the zone has and the host has newer. Of a dependent one:
//
//     in the zone, not on the host      removed
//     on the host, not in the zone      added
//     older in the zone                 replaced
//     newer in the zone                 downgrade: refused
//     the same version, svr4            patch by patch: the zone has one that is newer, or that the host lacks and no
//                                       patch of the same-named package there obsoletes: downgrade. Else the host has
//                                       one that is newer or new: replaced
//
// And what these need: a package that a changed one depends on, breaks or conflicts with, and one of the zone that
// would no longer find what it depends on, follow to the host's version, never down. What cannot be made to fit refuses
// the whole as well. (Relations of zone packages that are known by a manifest only are not known; an engine then
// refuses.)
//
// Order of the steps: removals, dependents before what they need; then the others, what they need first. Cycles are cut
// at the first name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/attach/finding.h"
#include "core/packages/package_set.h"

namespace zoneferry {

// Which packages an update is about.
enum class UpdateScope {
    none,
    dependent,   // -u
    everything,  // -U: also what else the zone has and the host has newer
};
std::string_view update_scope_name(UpdateScope scope);  // "", "dependent", "everything"
std::optional<UpdateScope> update_scope_from_name(std::string_view name);

enum class UpdateAction { remove, add, replace };
std::string_view update_action_name(UpdateAction action);  // "remove", ...

struct UpdateStep {
    UpdateAction action = UpdateAction::replace;
    std::string package;
    std::string from;  // version in the zone; empty: not there
    std::string to;    // version of the host; empty: not there
    std::string why;   // "inherited", "all-zones", "required", "newer" (-U)
    std::uint64_t bytes = 0;

    bool operator==(const UpdateStep&) const = default;
};

// Something in the zone that is newer than the host's.
struct Downgrade {
    std::string package;
    std::string patch;  // base number; empty: it is the package's version
    std::string zone_version;
    std::string host_version;  // empty: the host does not have that patch

    bool operator==(const Downgrade&) const = default;
};

// The manifest's word about a package, and the zone's own.
struct Disagreement {
    std::string package;
    std::string manifest_version;  // empty: the manifest does not name it
    std::string zone_version;      // empty: the zone does not have it

    bool operator==(const Disagreement&) const = default;
};

struct UpdatePlan {
    PackageSystem system = PackageSystem::dpkg;
    std::vector<UpdateStep> steps;  // empty when refused
    std::vector<Downgrade> downgrades;
    std::vector<std::string> conflicts;  // what cannot be made to fit, one sentence each
    std::vector<Disagreement> disagreements;
    std::vector<std::string> notes;  // -U: what stays newer in the zone; warnings of the reading

    bool is_refused() const { return !downgrades.empty() || !conflicts.empty(); }
    std::uint64_t bytes() const;  // of all steps
    bool operator==(const UpdatePlan&) const = default;
};

// Both of one package system. manifest: what the source's manifest says, if there is one to compare with.
// After steps_max comparisons of hostile relations the plan is refused; Debian's largest hosts need some million.
inline constexpr std::uint64_t kPlanStepsMax = 200'000'000;
UpdatePlan plan_update(const PackageSet& zone, const PackageSet& host, bool everything,
                       const std::optional<Inventory>& manifest = std::nullopt,
                       std::uint64_t steps_max = kPlanStepsMax);

// For people: sections with a line for each entry; empty if there is nothing to do and nothing to say.
std::string update_plan_text(const UpdatePlan& plan);
// One each: PKG_WILL_CHANGE (info), PKG_DOWNGRADE, PATCH_DOWNGRADE and UPDATE_CONFLICT (block), PKG_MANIFEST_DIFFERS
// (warn), UPDATE_NOTE (info).
std::vector<Finding> update_plan_findings(const UpdatePlan& plan);
// A text that is equal for equal plans: for hashes.
std::string update_plan_key(const UpdatePlan& plan);

}  // namespace zoneferry
