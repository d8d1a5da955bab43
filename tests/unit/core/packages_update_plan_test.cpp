// The plan of an update against a simple oracle, over all small sets of packages and patches.
#include "core/packages/update_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/packages/compare.h"

namespace zoneferry {
namespace {

KnownPackage known(const std::string& name, const std::string& version,
                   DependencyReason reason = DependencyReason::inherited) {
    KnownPackage made;
    made.package = {name, version, reason, {}};
    return made;
}

PackageSet set_of(PackageSystem system, std::vector<KnownPackage> packages) {
    PackageSet set;
    set.system = system;
    set.packages = std::move(packages);
    return set;
}

std::vector<Clause> clauses(const std::string& text) { return *parse_relations(text, "Depends"); }

using Packages = std::map<std::string, KnownPackage>;

Packages by_name(const PackageSet& set) {
    Packages packages;
    for (const KnownPackage& each : set.packages) packages[each.package.name] = each;
    return packages;
}

// What the zone holds once an engine has done the steps.
Packages applied(const UpdatePlan& plan, const PackageSet& zone, const PackageSet& host) {
    Packages packages = by_name(zone);
    for (const UpdateStep& step : plan.steps) {
        if (step.action == UpdateAction::remove)
            packages.erase(step.package);
        else
            packages[step.package] = *host.find(step.package);
    }
    return packages;
}

std::map<std::string, Patch> patches_of(const Package& package) {
    std::map<std::string, Patch> patches;
    for (const Patch& patch : package.patches) patches[patch.id.base] = patch;
    return patches;
}

bool is_obsoleted(const std::map<std::string, Patch>& by, const std::string& base) {
    return std::any_of(by.begin(), by.end(), [&](const auto& each) {
        const auto& all = each.second.obsoletes;
        return each.first != base && std::find(all.begin(), all.end(), base) != all.end();
    });
}

// Would this package of the zone be brought down by the host's? Written down from the proposal, one sentence a line.
bool would_go_down(const Package& zone, const Package& host) {
    if (zone.version > host.version) return true;
    const auto there = patches_of(zone);
    const auto here = patches_of(host);
    for (const auto& [base, patch] : there) {
        const auto found = here.find(base);
        if (found != here.end() && found->second.id.revision < patch.id.revision) return true;
        if (found == here.end() && zone.version == host.version && !is_obsoleted(here, base)) return true;
    }
    return false;
}

struct Shape {
    std::string version;  // empty: not there
    std::vector<Patch> patches;
    bool dependent = true;
};

KnownPackage package_with(const std::string& name, const Shape& shape) {
    KnownPackage made =
        known(name, shape.version, shape.dependent ? DependencyReason::inherited : DependencyReason::unknown);
    made.package.patches = shape.patches;
    return made;
}

std::vector<Shape> all_shapes(bool with_flags) {
    std::vector<Shape> shapes{{}};
    for (const char* version : {"1", "2"}) {
        for (const char* first : {"", "1", "2"}) {
            for (const char* second : {"", "1", "1 obsoletes"}) {
                for (const bool dependent : {true, false}) {
                    if (!dependent && !with_flags) continue;
                    Shape shape{version, {}, dependent};
                    if (*first != 0) shape.patches.push_back({{"100", first}, {}});
                    if (*second != 0)
                        shape.patches.push_back({{"200", "1"},
                                                 std::string(second) == "1" ? std::vector<std::string>()
                                                                            : std::vector<std::string>{"100"}});
                    shapes.push_back(std::move(shape));
                }
            }
        }
    }
    return shapes;
}

void check_against_oracle(const PackageSet& zone, const PackageSet& host, bool everything) {
    const UpdatePlan plan = plan_update(zone, host, everything);
    const Packages there = by_name(zone);
    const Packages here = by_name(host);
    const auto is_dependent = [&](const std::string& name) {
        const auto marked = [&](const Packages& packages) {
            const auto found = packages.find(name);
            return found != packages.end() && found->second.package.reason != DependencyReason::unknown;
        };
        return marked(there) || marked(here);
    };
    bool must_refuse = false;
    for (const auto& [name, package] : there) {
        if (is_dependent(name) && here.contains(name))
            must_refuse |= would_go_down(package.package, here.at(name).package);
    }
    ASSERT_EQ(plan.is_refused(), must_refuse);
    if (must_refuse) {
        ASSERT_TRUE(plan.steps.empty());
        return;
    }
    const Packages after = applied(plan, zone, host);
    for (const auto& [name, package] : there) {
        if (!after.contains(name)) {  // removed: only what the host does not have at all
            ASSERT_TRUE(is_dependent(name) && !here.contains(name));
            continue;
        }
        const Package& now = after.at(name).package;
        ASSERT_LE(package.package.version, now.version);
        const auto patches = patches_of(now);
        for (const auto& [base, patch] : patches_of(package.package)) {
            if (patches.contains(base)) {
                ASSERT_LE(patch.id.revision, patches.at(base).id.revision);
            } else {
                ASSERT_TRUE(package.package.version < now.version || is_obsoleted(patches, base));
            }
        }
        if (!is_dependent(name) && !everything) {
            ASSERT_EQ(now.version, package.package.version);
        }
    }
    for (const auto& [name, package] : here) {
        if (!is_dependent(name)) continue;
        if (package.package.reason == DependencyReason::unknown && !there.contains(name)) continue;
        ASSERT_TRUE(after.contains(name));
        ASSERT_EQ(after.at(name).package.version, package.package.version);
    }
    // Done once, there is nothing left to do.
    PackageSet next = set_of(zone.system, {});
    for (const auto& [name, package] : after) next.packages.push_back(package);
    ASSERT_TRUE(plan_update(next, host, everything).steps.empty());
}

TEST(UpdatePlan, NoDowngradeOverAllSingleSvr4Packages) {
    const std::vector<Shape> shapes = all_shapes(true);
    for (const Shape& there : shapes) {
        for (const Shape& here : shapes) {
            std::vector<KnownPackage> zone;
            std::vector<KnownPackage> host;
            if (!there.version.empty()) zone.push_back(package_with("A", there));
            if (!here.version.empty()) host.push_back(package_with("A", here));
            for (const bool everything : {false, true}) {
                check_against_oracle(set_of(PackageSystem::svr4, zone), set_of(PackageSystem::svr4, host), everything);
                if (HasFatalFailure()) return;
            }
        }
    }
}

TEST(UpdatePlan, NoDowngradeOverAllPairsOfSvr4Packages) {
    const std::vector<Shape> shapes = all_shapes(false);
    std::size_t combinations = 0;
    for (const Shape& there_a : shapes) {
        for (const Shape& here_a : shapes) {
            for (const Shape& there_b : shapes) {
                for (const Shape& here_b : shapes) {
                    std::vector<KnownPackage> zone;
                    std::vector<KnownPackage> host;
                    if (!there_a.version.empty()) zone.push_back(package_with("A", there_a));
                    if (!there_b.version.empty()) zone.push_back(package_with("B", there_b));
                    if (!here_a.version.empty()) host.push_back(package_with("A", here_a));
                    if (!here_b.version.empty()) host.push_back(package_with("B", here_b));
                    check_against_oracle(set_of(PackageSystem::svr4, std::move(zone)),
                                         set_of(PackageSystem::svr4, std::move(host)), false);
                    if (HasFatalFailure()) return;
                    ++combinations;
                }
            }
        }
    }
    EXPECT_EQ(combinations, 19U * 19U * 19U * 19U);
}

// dpkg: every small world of three packages, each absent or of version 1 or 2, with relations between them.
bool is_met(const Packages& packages, const Clause& clause) {
    return std::any_of(clause.begin(), clause.end(), [&](const Requirement& wanted) {
        const auto found = packages.find(wanted.name);
        return found != packages.end() && fits(wanted, found->second.package.version);
    });
}

bool is_consistent(const Packages& packages) {
    for (const auto& [name, package] : packages) {
        for (const Clause& clause : package.relations.needs) {
            if (!is_met(packages, clause)) return false;
        }
        for (const Requirement& excluded : package.relations.excludes) {
            const auto found = packages.find(excluded.name);
            if (found != packages.end() && fits(excluded, found->second.package.version)) return false;
        }
    }
    return true;
}

std::vector<PackageSet> consistent_worlds(bool all_dependent) {
    std::vector<PackageSet> worlds;
    const std::vector<std::string> names{"a", "b", "c"};
    const std::vector<std::string> needs{"", "b (= VERSION)", "b | c", "c (>= 2)"};
    for (int versions = 0; versions < 27; ++versions) {
        for (std::size_t need = 0; need < needs.size(); ++need) {
            for (const bool breaks : {false, true}) {
                PackageSet set = set_of(PackageSystem::dpkg, {});
                for (int i = 0, rest = versions; i < 3; ++i, rest /= 3) {
                    if (rest % 3 == 0) continue;
                    const std::string version = std::to_string(rest % 3);
                    const bool dependent = all_dependent || i == 0;
                    KnownPackage made = known(names[static_cast<std::size_t>(i)], version,
                                              dependent ? DependencyReason::inherited : DependencyReason::unknown);
                    std::string text = i == 0 ? needs[need] : "";
                    if (const std::size_t at = text.find("VERSION"); at != std::string::npos)
                        text.replace(at, 7, version);
                    made.relations.needs = clauses(text);
                    if (breaks && i == 0) made.relations.excludes.push_back({"c", "<<", version});
                    set.packages.push_back(std::move(made));
                }
                if (is_consistent(by_name(set))) worlds.push_back(std::move(set));
            }
        }
    }
    return worlds;
}

TEST(UpdatePlan, DpkgWorldsStayConsistentAndNeverGoDown) {
    for (const bool all_dependent : {true, false}) {
        const std::vector<PackageSet> worlds = consistent_worlds(all_dependent);
        std::size_t updated = 0;
        for (const PackageSet& zone : worlds) {
            for (const PackageSet& host : worlds) {
                for (const bool everything : {false, true}) {
                    const UpdatePlan plan = plan_update(zone, host, everything);
                    if (plan.is_refused()) {
                        ASSERT_TRUE(plan.steps.empty());
                        continue;
                    }
                    const Packages after = applied(plan, zone, host);
                    ASSERT_TRUE(is_consistent(after));
                    updated += plan.steps.empty() ? 0 : 1;
                    for (const auto& [name, package] : by_name(zone)) {
                        if (after.contains(name)) {
                            ASSERT_LE(package.package.version, after.at(name).package.version);
                        } else {
                            ASSERT_EQ(host.find(name), nullptr);
                        }
                    }
                }
            }
        }
        EXPECT_GT(updated, 100U);
    }
}

TEST(UpdatePlan, ListsAllDowngradesAndDoesNothing) {
    const PackageSet zone = set_of(PackageSystem::dpkg, {known("a", "2"), known("b", "1"), known("c", "3")});
    const PackageSet host = set_of(PackageSystem::dpkg, {known("a", "1"), known("b", "2"), known("c", "2.9")});
    const UpdatePlan plan = plan_update(zone, host, false);
    EXPECT_TRUE(plan.steps.empty());
    ASSERT_EQ(plan.downgrades.size(), 2U);
    EXPECT_EQ(update_plan_text(plan),
              "newer in the zone than on this host, so nothing can be updated\n"
              "\ta (2) is newer than (1)\n\tc (3) is newer than (2.9)\n");
}

TEST(UpdatePlan, OrdersByWhatIsNeeded) {
    KnownPackage app = known("app", "2");
    app.relations.needs = clauses("libz (>= 2), zlib-data");
    KnownPackage lib = known("libz", "2", DependencyReason::unknown);
    lib.relations.needs = clauses("zlib-data (= 2)");
    const KnownPackage data = known("zlib-data", "2", DependencyReason::unknown);
    KnownPackage old_app = known("old-app", "1");
    old_app.relations.needs = clauses("old-lib");
    const PackageSet zone =
        set_of(PackageSystem::dpkg,
               {known("app", "1"), known("libz", "1", DependencyReason::unknown), old_app, known("old-lib", "1")});
    const UpdatePlan plan = plan_update(zone, set_of(PackageSystem::dpkg, {app, lib, data}), false);
    std::vector<std::string> order;
    for (const UpdateStep& step : plan.steps) order.push_back(step.package + " " + step.why);
    EXPECT_EQ(order, (std::vector<std::string>{"old-app inherited", "old-lib inherited", "zlib-data required",
                                               "libz required", "app inherited"}));
}

// A chain as long as a hostile database: a recursion would end the process.
TEST(UpdatePlan, FollowsAChainOfAnyLength) {
    constexpr int kLength = 200'000;
    PackageSet zone = set_of(PackageSystem::dpkg, {});
    for (int i = 0; i < kLength; ++i) {
        KnownPackage link = known("p" + std::to_string(1'000'000 + i), "1");
        if (i + 1 < kLength) link.relations.needs = clauses("p" + std::to_string(1'000'001 + i));
        link.has_relations = true;
        zone.packages.push_back(link);
    }
    const UpdatePlan plan = plan_update(zone, set_of(PackageSystem::dpkg, {}), false, std::nullopt);
    EXPECT_FALSE(plan.is_refused());
    ASSERT_EQ(plan.steps.size(), static_cast<std::size_t>(kLength));
    EXPECT_EQ(plan.steps.front().package, "p1000000");
    EXPECT_EQ(plan.steps.back().package, "p" + std::to_string(1'000'000 + kLength - 1));
}

// Everybody provides the same name, in the wrong version, and everybody wants it: squared.
TEST(UpdatePlan, GivesUpOnRelationsTooManyToFollow) {
    constexpr int kPackages = 2'000;
    PackageSet zone = set_of(PackageSystem::dpkg, {});
    for (int i = 0; i < kPackages; ++i) {
        KnownPackage each = known("p" + std::to_string(1'000'000 + i), "1", DependencyReason::unknown);
        each.relations.needs = clauses("virtual (= 2)");
        each.relations.provides = {{"virtual", "=", "1"}};
        each.has_relations = true;
        zone.packages.push_back(each);
    }
    const UpdatePlan plan = plan_update(zone, set_of(PackageSystem::dpkg, {}), false, std::nullopt, 1'000'000);
    EXPECT_TRUE(plan.is_refused());
    ASSERT_EQ(plan.conflicts.size(), 1U);
    EXPECT_NE(plan.conflicts[0].find("too much to follow"), std::string::npos);
}

// dpkg would remove the zone's own in favour of the new one.
TEST(UpdatePlan, WhatIsExcludedByAProvidedNameRefusesTheWhole) {
    KnownPackage ours = known("exim4", "1", DependencyReason::unknown);
    ours.relations.provides = {{"mail-transport-agent", "", ""}};
    KnownPackage theirs = known("postfix", "1");
    theirs.relations.provides = ours.relations.provides;
    theirs.relations.excludes = {{"mail-transport-agent", "", ""}};
    const UpdatePlan plan =
        plan_update(set_of(PackageSystem::dpkg, {ours}), set_of(PackageSystem::dpkg, {theirs}), false);
    ASSERT_EQ(plan.conflicts.size(), 1U);
    EXPECT_EQ(plan.conflicts[0], "postfix (1) does not go with exim4 (1)");
}

TEST(UpdatePlan, WhatCannotFitRefusesTheWhole) {
    KnownPackage mine = known("mine", "1", DependencyReason::unknown);
    mine.relations.needs = clauses("lib (= 1)");
    const PackageSet zone = set_of(PackageSystem::dpkg, {known("lib", "1"), mine});
    const UpdatePlan plan = plan_update(zone, set_of(PackageSystem::dpkg, {known("lib", "2")}), false);
    EXPECT_TRUE(plan.steps.empty());
    ASSERT_EQ(plan.conflicts.size(), 1U);
    EXPECT_EQ(plan.conflicts[0], "mine (1) needs lib (= 1), which neither the zone nor this host can give it");
}

TEST(UpdatePlan, LeavesTheGlobalZonesPackagesAlone) {
    KnownPackage kernel = known("linux-image-6.1", "2");
    kernel.global_only = true;
    EXPECT_TRUE(
        plan_update(set_of(PackageSystem::dpkg, {}), set_of(PackageSystem::dpkg, {kernel}), true).steps.empty());
}

TEST(UpdatePlan, TheZoneCountsWhereItsManifestDisagrees) {
    Inventory manifest;
    manifest.system = PackageSystem::dpkg;
    manifest.packages = {{"a", "9", DependencyReason::inherited, {}}, {"gone", "1", DependencyReason::inherited, {}}};
    const UpdatePlan plan = plan_update(set_of(PackageSystem::dpkg, {known("a", "1")}),
                                        set_of(PackageSystem::dpkg, {known("a", "2")}), false, manifest);
    EXPECT_EQ(plan.steps.size(), 1U);
    EXPECT_EQ(plan.disagreements, (std::vector<Disagreement>{{"a", "9", "1"}, {"gone", "1", ""}}));
    const auto findings = update_plan_findings(plan);
    EXPECT_FALSE(is_blocked(findings));
    EXPECT_EQ(findings.size(), 3U);
}

TEST(UpdatePlan, TwoPackageSystemsAreRefused) {
    EXPECT_TRUE(plan_update(set_of(PackageSystem::dpkg, {}), set_of(PackageSystem::svr4, {}), false).is_refused());
}

TEST(Relations, AreReadAndRefused) {
    const auto read = parse_relations("libc6 (>= 2.36),\n a:any | b (<1) , c", "Depends");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->size(), 3U);
    EXPECT_EQ((*read)[1], (Clause{{"a", "", ""}, {"b", "<=", "1"}}));
    for (const char* bad : {"a (", "a (1)", "a (>= )", "|", "a (>< 1)", "a (>= 1) x"})
        EXPECT_FALSE(parse_relations(bad, "Depends")) << bad;
}

}  // namespace
}  // namespace zoneferry
