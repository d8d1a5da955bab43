// Prints, as Promela macros, what the product decides: the table of a move (fold), the next steps, and the boot gate
// over both copies of an owner record. handover.pml is written on these macros only, so the model cannot have a table
// of its own.
//
//     dump_table > move_table.pml
#include <array>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/move/move_plan.h"
#include "core/zone/owner_record.h"

namespace zoneferry {
namespace {

std::string macro_name(std::string_view name) {
    std::string word(name);
    for (char& c : word) c = c == '-' ? '_' : c;
    return word;
}

template <class Kind, class Name>
std::vector<Kind> all_of(Name name) {
    std::vector<Kind> kinds;
    for (int number = 0; name(static_cast<Kind>(number)) != "unknown"; ++number) {
        kinds.push_back(static_cast<Kind>(number));
    }
    return kinds;
}
const std::vector<Phase>& phases() {
    static const auto all = all_of<Phase>(phase_name);
    return all;
}

// "p" is one of the phases for which the rule holds.
std::string in_phases(const std::function<bool(Phase)>& rule) {
    std::string text;
    for (const Phase phase : phases()) {
        if (!rule(phase)) continue;
        text += (text.empty() ? "" : " || ") + ("(p) == P_" + macro_name(phase_name(phase)));
    }
    return text.empty() ? "false" : text;
}

MoveRecord record_of(Role role, Phase phase, unsigned variant = 0) {
    MoveRecord record;
    record.role = role;
    record.phase = phase;
    record.was_running = (variant & 1U) != 0;
    record.cold = (variant & 2U) != 0;
    record.running_passes = (variant & 4U) != 0 ? 1 : 0;
    return record;
}
constexpr unsigned kVariants = 8;

void print_events(Role role) {
    for (const EventKind event : all_of<EventKind>(event_name)) {
        const auto after = [&](Phase phase) { return fold(record_of(role, phase), MoveEvent{.kind = event}); };
        std::string to = "P_none";
        for (const Phase phase : phases()) {
            if (const auto folded = after(phase)) {
                to = "((p) == P_" + macro_name(phase_name(phase)) + " -> P_" + macro_name(phase_name(folded->phase)) +
                     " : " + to + ")";
            }
        }
        if (to == "P_none") continue;
        const std::string name = std::string(role_name(role)) + "_" + macro_name(event_name(event));
        std::printf("#define CAN_%s(p) (%s)\n", name.c_str(),
                    in_phases([&](Phase phase) { return after(phase).has_value(); }).c_str());
        std::printf("#define AFTER_%s(p) %s\n", name.c_str(), to.c_str());
    }
}

struct SourceStepName {
    SourceStep step;
    const char* name;
};
constexpr SourceStepName kSourceSteps[] = {
    {SourceStep::prepare, "prepare"}, {SourceStep::running_pass, "running_pass"},
    {SourceStep::decide, "decide"},   {SourceStep::reclaim, "reclaim"},
    {SourceStep::quiesce, "quiesce"}, {SourceStep::final_pass, "final_pass"},
    {SourceStep::verify, "verify"},   {SourceStep::stage, "stage"},
    {SourceStep::release, "release"}, {SourceStep::grant, "grant"},
    {SourceStep::confirm, "confirm"}, {SourceStep::abort, "abort"},
    {SourceStep::rest, "rest"},
};

// A step that some record in that phase leads to: what else the record holds is left open in the model.
void print_steps() {
    for (const auto& [step, name] : kSourceSteps) {
        std::printf("#define NEXT_source_%s(p) (%s)\n", name,
                    in_phases([step = step](Phase phase) {
                        for (unsigned variant = 0; variant < kVariants; ++variant) {
                            if (next_source_step(record_of(Role::source, phase, variant)) == step) return true;
                        }
                        return false;
                    }).c_str());
    }
    std::printf("#define NEXT_target_activate(p) (%s)\n", in_phases([](Phase phase) {
                                                              return next_target_step(record_of(Role::target, phase)) ==
                                                                     TargetStep::activate;
                                                          }).c_str());
    for (const Role role : {Role::source, Role::target}) {
        std::printf("#define OVER_%s(p) (%s)\n", std::string(role_name(role)).c_str(),
                    in_phases([&](Phase phase) { return is_over(record_of(role, phase)); }).c_str());
    }
    std::printf("#define CAN_ABORT(p) (%s)\n",
                in_phases([](Phase phase) { return can_abort(record_of(Role::source, phase)); }).c_str());
}

// Those that moves write. `free` is for people, `parked` for what comes after a claim.
constexpr std::array kOwnerships{Ownership::owned, Ownership::frozen, Ownership::incoming, Ownership::released};

std::optional<OwnerRecord> owner_of(int state, std::uint64_t epoch) {
    if (state == 0) return std::nullopt;
    OwnerRecord record;
    record.zone = "web01";
    record.host = "host1";
    record.state = kOwnerships.at(static_cast<std::size_t>(state) - 1);
    record.epoch = epoch;
    return record;
}

constexpr int kStates = 1 + static_cast<int>(kOwnerships.size());
using OwnerRule =
    std::function<bool(const std::optional<OwnerRecord>& speaks, const std::optional<OwnerRecord>& of_host)>;

// A rule over both copies as an expression of (host's state, host's epoch, the other copy's state, its epoch): one bit
// for each pair of states, one word for each order of the epochs.
void print_rule(const char* name, const OwnerRule& rule) {
    unsigned long words[3] = {};
    for (int order = -1; order <= 1; ++order) {  // the host's epoch is lower, equal, higher
        for (int pair = 0; pair < kStates * kStates; ++pair) {
            const auto of_host = owner_of(pair / kStates, 5);
            const auto of_place = owner_of(pair % kStates, static_cast<std::uint64_t>(5 - order));
            if (rule(effective_record(of_host, of_place), of_host)) words[order + 1] |= 1UL << pair;
        }
    }
    std::printf(
        "#define %s(hs, he, zs, ze) ((((((he) < (ze)) -> %lu : (((he) == (ze)) -> %lu : %lu)) >> ((hs) * 5 + (zs))) & "
        "1) == 1)\n",
        name, words[0], words[1], words[2]);
}

void print_owners() {
    for (int state = 1; state < kStates; ++state) {
        std::printf("#define O_%s %d\n", std::string(ownership_name(owner_of(state, 1)->state)).c_str(), state);
    }
    std::printf("#define O_none 0\n");
    print_rule("MAY_BOOT", [](const auto& speaks, const auto&) { return check_may_boot(speaks).has_value(); });
    print_rule("HOST_COPY_COUNTS", [](const auto& speaks, const auto& of_host) {
        return speaks.has_value() && of_host.has_value() && *speaks == *of_host;
    });
}

}  // namespace
}  // namespace zoneferry

int main() {
    using namespace zoneferry;
    std::printf(
        "/* Made by dump_table from agent/move/move_plan.cpp and core/zone/owner_record.cpp: not written by hand. "
        "*/\n");
    std::printf("#define P_none 255\n");
    for (const Phase phase : phases()) {
        std::printf("#define P_%s %d\n", macro_name(phase_name(phase)).c_str(), static_cast<int>(phase));
    }
    print_events(Role::source);
    print_events(Role::target);
    print_steps();
    print_owners();
    return 0;
}
