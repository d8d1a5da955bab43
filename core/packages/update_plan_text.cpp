// The words of a plan: for people, as findings, and as a key.
#include "core/base/text.h"
#include "core/packages/update_plan.h"

namespace zoneferry {
namespace {

std::string with_version(const std::string& name, const std::string& version) {
    return printable(name) + " (" + printable(version) + ")";
}

std::string step_text(const UpdateStep& step) {
    const std::string rest = ": " + step.why + (step.bytes == 0 ? std::string() : ", " + format_bytes(step.bytes));
    switch (step.action) {
        case UpdateAction::remove: return with_version(step.package, step.from) + " will be removed" + rest;
        case UpdateAction::add: return with_version(step.package, step.to) + " will be added" + rest;
        case UpdateAction::replace: break;
    }
    const std::string to = step.from == step.to ? "with the host's patches" : "(" + printable(step.to) + ")";
    return with_version(step.package, step.from) + " will become " + to + rest;
}

std::string downgrade_text(const Downgrade& down) {
    if (down.patch.empty())
        return with_version(down.package, down.zone_version) + " is newer than (" + printable(down.host_version) + ")";
    const std::string patch =
        printable(PatchId{down.patch, down.zone_version}.text()) + " of " + printable(down.package);
    if (down.host_version.empty()) return patch + " is not on this host";
    return patch + " is newer than (" + printable(down.host_version) + ")";
}

std::string disagreement_text(const Disagreement& said) {
    if (said.manifest_version.empty())
        return with_version(said.package, said.zone_version) + " is in the zone, but not in its manifest";
    if (said.zone_version.empty())
        return with_version(said.package, said.manifest_version) + " is in the manifest, but not in the zone";
    return with_version(said.package, said.zone_version) + " is in the zone, the manifest says (" +
           printable(said.manifest_version) + ")";
}

Finding make_finding(const char* code, Severity severity, const std::string& subject, std::string message) {
    Finding finding;
    finding.code = code;
    finding.severity = severity;
    finding.subject = printable(subject);
    finding.message = std::move(message);
    return finding;
}

}  // namespace

std::string_view update_scope_name(UpdateScope scope) {
    switch (scope) {
        case UpdateScope::none: return "";
        case UpdateScope::dependent: return "dependent";
        case UpdateScope::everything: return "everything";
    }
    return "";
}

std::optional<UpdateScope> update_scope_from_name(std::string_view name) {
    for (const UpdateScope scope : {UpdateScope::none, UpdateScope::dependent, UpdateScope::everything}) {
        if (name == update_scope_name(scope)) return scope;
    }
    return std::nullopt;
}

std::string_view update_action_name(UpdateAction action) {
    switch (action) {
        case UpdateAction::remove: return "remove";
        case UpdateAction::add: return "add";
        case UpdateAction::replace: return "replace";
    }
    return "";
}

std::uint64_t UpdatePlan::bytes() const {
    std::uint64_t all = 0;
    for (const UpdateStep& step : steps) all += step.bytes;
    return all;
}

std::string update_plan_text(const UpdatePlan& plan) {
    std::string text;
    const auto section = [&](const char* title, const auto& entries, auto shown) {
        if (entries.empty()) return;
        text.append(title).append("\n");
        for (const auto& entry : entries) text += "\t" + shown(entry) + "\n";
    };
    section("packages of the zone to be brought to this host's level", plan.steps, step_text);
    section("newer in the zone than on this host, so nothing can be updated", plan.downgrades, downgrade_text);
    section("cannot be made to fit, so nothing can be updated", plan.conflicts, [](const std::string& s) { return s; });
    section("the zone and its manifest disagree; the zone counts", plan.disagreements, disagreement_text);
    section("notes", plan.notes, [](const std::string& s) { return s; });
    return text;
}

std::vector<Finding> update_plan_findings(const UpdatePlan& plan) {
    std::vector<Finding> findings;
    for (const UpdateStep& step : plan.steps) {
        Finding made = make_finding("PKG_WILL_CHANGE", Severity::info, step.package, step_text(step));
        made.source = printable(step.from);
        made.target = printable(step.to);
        made.remedy = "nothing; the update does it";
        findings.push_back(std::move(made));
    }
    for (const Downgrade& down : plan.downgrades) {
        Finding made = down.patch.empty()
                           ? make_finding("PKG_DOWNGRADE", Severity::block, down.package, downgrade_text(down))
                           : make_finding("PATCH_DOWNGRADE", Severity::block, down.patch, downgrade_text(down));
        made.source = printable(down.zone_version);
        made.target = printable(down.host_version);
        made.remedy = "update this host first: a zone is never brought down";
        findings.push_back(std::move(made));
    }
    for (const std::string& sentence : plan.conflicts) {
        Finding made = make_finding("UPDATE_CONFLICT", Severity::block, "packages", sentence);
        made.remedy = "bring the packages that it names in order in the zone or on this host";
        findings.push_back(std::move(made));
    }
    for (const Disagreement& said : plan.disagreements) {
        Finding made = make_finding("PKG_MANIFEST_DIFFERS", Severity::warn, said.package, disagreement_text(said));
        made.source = printable(said.manifest_version);
        made.target = printable(said.zone_version);
        made.remedy = "nothing; the update goes by what is in the zone";
        findings.push_back(std::move(made));
    }
    for (const std::string& note : plan.notes)
        findings.push_back(make_finding("UPDATE_NOTE", Severity::info, "packages", printable(note)));
    return findings;
}

std::string update_plan_key(const UpdatePlan& plan) {
    std::string key(package_system_name(plan.system));
    for (const UpdateStep& step : plan.steps) {
        key += "\n" + std::string(update_action_name(step.action)) + " " + printable(step.package) + " " +
               printable(step.from) + " " + printable(step.to) + " " + step.why;
    }
    for (const Downgrade& down : plan.downgrades) key += "\ndown " + downgrade_text(down);
    for (const std::string& sentence : plan.conflicts) key += "\nconflict " + sentence;
    return key;
}

}  // namespace zoneferry
