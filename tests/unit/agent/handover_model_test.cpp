// A model of the whole hand-over, both sides at once: every order of steps, crashes and messages is walked through.
//
// The world is what survives a crash: the two journal records (moved on only by the product's own fold()), the two
// owner records (asked with the product's own check_may_boot()), where a tree lies, and whether a zone runs. What a
// side does next comes from next_source_step() and next_target_step(), so a crash needs no action of its own: whoever
// comes back goes on from the record. A step of the product that writes twice is two steps here.
//
// The network is the worst there is: a message once sent may arrive at any time later, any number of times, in any
// order, or never.
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/move/move_plan.h"
#include "core/zone/owner_record.h"

namespace zoneferry {
namespace {

enum Kind : std::uint8_t {
    kPrepare,
    kPrepared,
    kTree,
    kTreeDone,
    kVerify,
    kVerified,
    kStage,
    kReady,
    kGrant,
    kOwned,
    kActivated,
    kAbort,
    kStatusAborted,  // the source's answer to the target's janitor
    kStatusHealthy,  // the target's answer before a finalize
    kFinalize,
};

enum class Tree : std::uint8_t { none, complete };
enum class Owner : std::uint8_t { none, owned, frozen, incoming, released };

struct World {
    Phase source = Phase::begun;
    Phase target = Phase::discarded;  // only when is_known
    bool target_is_known = false;
    bool was_running = false;
    bool cold = false;
    bool pass_done = false;
    Owner source_owner = Owner::none;
    Owner target_owner = Owner::none;
    bool source_copy = true;
    bool source_attached = true;  // state installed
    bool source_runs = false;
    Tree target_tree = Tree::none;
    bool target_attached = false;
    bool target_runs = false;
    // Another move of the same zone, begun at the same moment and being undone; aborted: there is none.
    Phase rival = Phase::aborted;
    std::uint32_t sent = 0;

    bool has(Kind kind) const { return (sent >> kind & 1U) != 0; }
    void send(Kind kind) { sent |= 1U << kind; }
    bool operator==(const World&) const = default;
};

std::uint64_t key_of(const World& world) {
    std::uint64_t key = world.sent;
    const auto add = [&](unsigned bits, std::uint64_t value) { key = key << bits | value; };
    add(5, static_cast<std::uint64_t>(world.source));
    add(5, static_cast<std::uint64_t>(world.target));
    add(5, static_cast<std::uint64_t>(world.rival));
    add(3, static_cast<std::uint64_t>(world.source_owner));
    add(3, static_cast<std::uint64_t>(world.target_owner));
    for (const bool bit : {world.target_is_known, world.was_running, world.cold, world.pass_done, world.source_copy,
                           world.source_attached, world.source_runs, world.target_tree == Tree::complete,
                           world.target_attached, world.target_runs}) {
        add(1, bit ? 1 : 0);
    }
    return key;
}

// How the product would be wrong: each of these must make the model find something.
struct Mistakes {
    bool target_gives_up_alone = false;  // READY is discarded on a time-out
    bool source_gives_up_late = false;   // an abort although RELEASED
    bool release_without_ready = false;  // released as soon as the tree is verified
    bool grant_before_owner = false;     // told to the target before the own owner record says so
    bool rival_undoes_unasked = false;   // an undo that does not ask whose the zone is now
};

MoveRecord source_record(const World& world) {
    MoveRecord record;
    record.role = Role::source;
    record.phase = world.source;
    record.was_running = world.was_running;
    record.cold = world.cold;
    record.running_passes = world.pass_done ? 1 : 0;
    return record;
}

MoveRecord target_record(const World& world) {
    MoveRecord record;
    record.role = Role::target;
    record.phase = world.target;
    record.was_running = world.was_running;
    return record;
}

bool gate_is_open(Owner owner) {
    if (owner == Owner::none) return check_may_boot(std::nullopt).has_value();
    OwnerRecord record;
    record.zone = "web01";
    record.host = "host1";
    record.state = owner == Owner::owned      ? Ownership::owned
                   : owner == Owner::frozen   ? Ownership::frozen
                   : owner == Owner::incoming ? Ownership::incoming
                                              : Ownership::released;
    return check_may_boot(record).has_value();
}
bool source_may_boot(const World& world) {
    return world.source_copy && world.source_attached && gate_is_open(world.source_owner);
}
bool target_may_boot(const World& world) { return world.target_attached && gate_is_open(world.target_owner); }

using Next = std::vector<std::pair<std::string, World>>;

class Steps {
public:
    Steps(const World& world, const Mistakes& mistakes, Next& next) : world_(world), mistakes_(mistakes), next_(next) {}

    void all() {
        people();
        rival();
        source();
        source_hears();
        target();
        target_hears();
    }

private:
    using Change = std::function<void(World&)>;
    void step(const char* name, const Change& change) {
        World after = world_;
        change(after);
        if (!(after == world_)) next_.emplace_back(name, after);
    }
    // An event in a journal: only if the product's table allows it.
    void journal_source(const char* name, EventKind kind, const Change& also = {}) {
        const auto folded = fold(source_record(world_), MoveEvent{.kind = kind});
        if (!folded) return;
        step(name, [&](World& after) {
            after.source = folded->phase;
            after.pass_done = folded->running_passes > 0;
            if (also) also(after);
        });
    }
    void journal_target(const char* name, EventKind kind, const Change& also = {}) {
        const auto folded = fold(target_record(world_), MoveEvent{.kind = kind});
        if (!folded) return;
        step(name, [&](World& after) {
            after.target = folded->phase;
            if (also) also(after);
        });
    }

    // Administrators and power cuts.
    void people() {
        if (source_may_boot(world_)) step("boot at the source", [](World& w) { w.source_runs = true; });
        if (target_may_boot(world_)) step("boot at the target", [](World& w) { w.target_runs = true; });
        step("power cut at the source", [](World& w) { w.source_runs = false; });
        step("power cut at the target", [](World& w) { w.target_runs = false; });
        const bool can = can_abort(source_record(world_)) && world_.source != Phase::aborting;
        if (can) journal_source("abort decided", EventKind::aborting);
        if (mistakes_.source_gives_up_late && world_.source == Phase::released) {
            step("MISTAKE: late abort", [](World& w) { w.source = Phase::aborting; });
        }
        if (world_.source == Phase::activated && world_.has(kStatusHealthy)) {
            step("finalize: told", [](World& w) { w.send(kFinalize); });
            if (world_.has(kFinalize)) {
                step("finalize: deleted", [](World& w) {
                    w.source_copy = w.source_attached = false;
                    w.source_owner = Owner::none;
                });
            }
            if (!world_.source_copy) journal_source("finalized", EventKind::finalized);
        }
    }

    void rival() {
        MoveRecord record = source_record(world_);
        record.phase = world_.rival;
        const auto folded = fold(record, MoveEvent{.kind = EventKind::aborted});
        if (!folded) return;
        const bool is_ours = world_.source_owner == Owner::none || world_.source_owner == Owner::owned;
        if (is_ours || mistakes_.rival_undoes_unasked) {
            step("rival: owned again", [](World& w) { w.source_owner = Owner::owned; });
        }
        step("rival: aborted", [&](World& w) { w.rival = folded->phase; });
    }

    void source() {
        const World& w = world_;
        switch (next_source_step(source_record(w))) {
            case SourceStep::prepare: step("ask Prepare", [](World& a) { a.send(kPrepare); }); break;
            case SourceStep::running_pass: journal_source("pass while running", EventKind::running_pass_done); break;
            case SourceStep::decide: journal_source("quiescing", EventKind::quiescing); break;
            case SourceStep::keep_fresh:
            case SourceStep::sleep:
            case SourceStep::await_probe:
            case SourceStep::bring_back:
            case SourceStep::reclaim: break;  // not in this model: tests/model has people and probes
            case SourceStep::quiesce:
                step("freeze", [](World& a) { a.source_owner = Owner::frozen; });
                if (w.source_owner == Owner::frozen) step("halt", [](World& a) { a.source_runs = false; });
                if (w.source_owner == Owner::frozen && !w.source_runs) journal_source("quiesced", EventKind::quiesced);
                break;
            case SourceStep::final_pass: step("send the tree", [](World& a) { a.send(kTree); }); break;
            case SourceStep::verify: step("ask Verify", [](World& a) { a.send(kVerify); }); break;
            case SourceStep::stage:
                step("ask Stage", [](World& a) { a.send(kStage); });
                if (mistakes_.release_without_ready) {
                    step("MISTAKE: staged", [](World& a) { a.source = Phase::staged; });
                }
                break;
            case SourceStep::release:
                if (!w.source_runs) journal_source("RELEASED", EventKind::released);
                break;
            case SourceStep::grant:
                step("owner released", [](World& a) { a.source_owner = Owner::released; });
                if (w.source_owner == Owner::released || mistakes_.grant_before_owner) {
                    step("ask Grant", [](World& a) { a.send(kGrant); });
                }
                break;
            case SourceStep::confirm: step("detach", [](World& a) { a.source_attached = false; }); break;
            case SourceStep::abort:
                step("tell Abort", [](World& a) { a.send(kAbort); });
                step("owned again", [](World& a) { a.source_owner = Owner::owned; });
                if (w.source_owner == Owner::owned && (w.source_runs || !w.was_running)) {
                    journal_source("aborted", EventKind::aborted);
                }
                break;
            case SourceStep::rest: break;
        }
        if (w.source == Phase::aborted) step("janitor is told", [](World& a) { a.send(kStatusAborted); });
    }

    void source_hears() {
        const World& w = world_;
        if (w.has(kPrepared)) journal_source("prepared", EventKind::prepared);
        if (w.has(kTreeDone)) journal_source("sent", EventKind::sent);
        if (w.has(kVerified)) journal_source("verified", EventKind::verified);
        if (w.has(kReady)) journal_source("staged", EventKind::staged);
        if (w.has(kOwned)) journal_source("owned", EventKind::owned);
        if (w.has(kActivated) && !w.source_attached) journal_source("activated", EventKind::activated);
    }

    void target() {
        const World& w = world_;
        if (!w.target_is_known) return;
        const MoveRecord record = target_record(w);
        if (next_target_step(record) == TargetStep::activate) {
            step("owner owned", [](World& a) { a.target_owner = Owner::owned; });
            if (w.target_owner == Owner::owned) step("attach", [](World& a) { a.target_attached = true; });
            // The boot may have failed: that is activated as well, with a problem.
            if (w.target_attached) journal_target("activated there", EventKind::activated);
        }
        if (w.target == Phase::activated) {
            step("tell Activated", [](World& a) { a.send(kActivated); });
            if (w.target_attached) step("tell healthy", [](World& a) { a.send(kStatusHealthy); });
        }
        if (mistakes_.target_gives_up_alone && w.target == Phase::ready) discard();
    }

    void discard() {
        step("staging removed", [](World& a) { a.target_tree = Tree::none; });
        if (world_.target_tree == Tree::none) step("name free", [](World& a) { a.target_owner = Owner::none; });
        if (world_.target_tree == Tree::none && world_.target_owner == Owner::none) {
            journal_target("discarded", EventKind::discarded);
        }
    }

    void target_hears() {
        const World& w = world_;
        if (w.has(kPrepare) && !w.target_is_known) {
            step("incoming", [](World& a) {
                a.target_is_known = true;
                a.target = Phase::incoming;
            });
        }
        if (!w.target_is_known) return;
        const bool is_coming = w.target == Phase::incoming || w.target == Phase::ready;
        if (is_coming && w.has(kPrepare)) {
            step("name reserved", [](World& a) { a.target_owner = Owner::incoming; });
            if (w.target_owner == Owner::incoming) step("answer Prepared", [](World& a) { a.send(kPrepared); });
        }
        if (w.target == Phase::incoming && w.has(kTree)) {
            step("tree is on the disk", [](World& a) { a.target_tree = Tree::complete; });
            if (w.target_tree == Tree::complete) step("answer TreeDone", [](World& a) { a.send(kTreeDone); });
        }
        if (is_coming && w.has(kVerify) && w.target_tree == Tree::complete) {
            step("answer Verified", [](World& a) { a.send(kVerified); });
        }
        if (w.has(kStage) && w.target_tree == Tree::complete) journal_target("READY", EventKind::ready);
        if (w.target == Phase::ready) step("answer Ready", [](World& a) { a.send(kReady); });
        if (w.has(kGrant)) journal_target("OWNED", EventKind::owned);
        if (w.has(kGrant) &&
            (w.target == Phase::owned || w.target == Phase::activated || w.target == Phase::finalized)) {
            step("answer Owned", [](World& a) { a.send(kOwned); });
        }
        if (is_coming && (w.has(kAbort) || w.has(kStatusAborted))) discard();
        if (w.has(kFinalize)) journal_target("finalized there", EventKind::finalized);
    }

    const World& world_;
    const Mistakes& mistakes_;
    Next& next_;
};

// What must hold in every world. Empty: it does.
std::string broken_rule(const World& w) {
    if (w.source_runs && w.target_runs) return "the zone runs twice";
    if (source_may_boot(w) && target_may_boot(w)) return "both hosts may boot the zone";
    if ((w.source_runs && target_may_boot(w)) || (w.target_runs && source_may_boot(w))) return "it could run twice";
    const bool target_holds = w.target_is_known && w.target_tree == Tree::complete && w.target != Phase::incoming &&
                              w.target != Phase::discarded;
    if (!w.source_copy && !target_holds) return "the zone is lost";
    const bool is_released = w.source == Phase::released || w.source == Phase::owned || w.source == Phase::activated;
    if (is_released && !target_holds) return "released to a target that does not hold the zone";
    if (w.source_attached && w.source == Phase::finalized) return "finalized, and still there";
    return {};
}

// A good end: both sides rest, and the zone can run on exactly one of them.
bool is_good_end(const World& w) {
    if (!is_over(source_record(w))) return false;
    if (w.target_is_known && !is_over(target_record(w))) return false;
    return source_may_boot(w) != target_may_boot(w);
}

struct Exploration {
    std::size_t states = 0;
    std::size_t steps = 0;
    std::string broken;  // the rule and the way to it
    std::size_t stuck = 0;
    std::string stuck_example;
};

class Explorer {
public:
    explicit Explorer(Mistakes mistakes) : mistakes_(mistakes) {}

    Exploration run() {
        for (const bool was_running : {false, true}) {
            for (const bool cold : {false, true}) {
                for (const Phase rival : {Phase::aborted, Phase::aborting}) {
                    World first;
                    first.was_running = first.source_runs = was_running;
                    first.cold = cold;
                    first.rival = rival;
                    visit(first, 0, "begun");
                }
            }
        }
        for (std::size_t index = 0; index < worlds_.size() && result_.broken.empty(); ++index) {
            Next next;
            Steps(World(worlds_[index]), mistakes_, next).all();
            for (auto& [name, world] : next) link(index, visit(world, index, name));
        }
        result_.states = worlds_.size();
        if (result_.broken.empty()) look_for_stuck();
        return result_;
    }

private:
    std::size_t visit(const World& world, std::size_t from, const std::string& step) {
        const auto [found, is_new] = known_.try_emplace(key_of(world), worlds_.size());
        if (!is_new) return found->second;
        worlds_.push_back(world);
        came_from_.emplace_back(from, step);
        back_.emplace_back();
        const std::string broken = broken_rule(world);
        if (!broken.empty() && result_.broken.empty()) result_.broken = broken + ": " + way_to(worlds_.size() - 1);
        return worlds_.size() - 1;
    }
    void link(std::size_t from, std::size_t to) {
        ++result_.steps;
        back_[to].push_back(static_cast<std::uint32_t>(from));
    }
    std::string way_to(std::size_t index) const {
        std::string way;
        while (came_from_[index].second != "begun") {
            way = came_from_[index].second + (way.empty() ? "" : " > ") + way;
            index = came_from_[index].first;
        }
        return way;
    }
    // Backwards from the good ends: whatever is not met cannot end well any more.
    void look_for_stuck() {
        std::vector<bool> can_end(worlds_.size(), false);
        std::deque<std::size_t> open;
        for (std::size_t index = 0; index < worlds_.size(); ++index) {
            if (!is_good_end(worlds_[index])) continue;
            can_end[index] = true;
            open.push_back(index);
        }
        while (!open.empty()) {
            const std::size_t index = open.front();
            open.pop_front();
            for (const std::uint32_t before : back_[index]) {
                if (can_end[before]) continue;
                can_end[before] = true;
                open.push_back(before);
            }
        }
        for (std::size_t index = 0; index < worlds_.size(); ++index) {
            if (can_end[index]) continue;
            if (result_.stuck++ == 0) result_.stuck_example = way_to(index);
        }
    }

    Mistakes mistakes_;
    std::vector<World> worlds_;
    std::vector<std::pair<std::size_t, std::string>> came_from_;
    std::vector<std::vector<std::uint32_t>> back_;
    std::unordered_map<std::uint64_t, std::size_t> known_;
    Exploration result_;
};

TEST(HandoverModel, NeverTwiceNeverLostNeverStuck) {
    const Exploration all = Explorer(Mistakes()).run();
    EXPECT_EQ(all.broken, "");
    EXPECT_EQ(all.stuck, 0U) << all.stuck_example;
    EXPECT_GT(all.states, 2'000U);  // else the model has lost its messages
    RecordProperty("states", std::to_string(all.states));
    RecordProperty("steps", std::to_string(all.steps));
    std::printf("handover model: %zu states, %zu steps\n", all.states, all.steps);
}

// The model is worth something only if it notices.
TEST(HandoverModel, ATargetThatDecidesAloneIsFound) {
    Mistakes mistakes;
    mistakes.target_gives_up_alone = true;
    const Exploration all = Explorer(mistakes).run();
    EXPECT_NE(all.broken.find("released to a target that does not hold the zone"), std::string::npos) << all.broken;
}

TEST(HandoverModel, AnAbortAfterTheReleaseIsFound) {
    Mistakes mistakes;
    mistakes.source_gives_up_late = true;
    EXPECT_NE(Explorer(mistakes).run().broken, "");
}

TEST(HandoverModel, AnUndoThatDoesNotAskWhoseTheZoneIsIsFound) {
    Mistakes mistakes;
    mistakes.rival_undoes_unasked = true;
    EXPECT_NE(Explorer(mistakes).run().broken, "");
}

TEST(HandoverModel, AReleaseWithoutThePromiseIsFound) {
    Mistakes mistakes;
    mistakes.release_without_ready = true;
    EXPECT_NE(Explorer(mistakes).run().broken, "");
}

// The zone is frozen by then, so a crash between the two writes of a release is harmless in either order.
TEST(HandoverModel, AGrantBeforeTheOwnRecordIsHarmlessWhileFrozen) {
    Mistakes mistakes;
    mistakes.grant_before_owner = true;
    const Exploration all = Explorer(mistakes).run();
    EXPECT_EQ(all.broken, "");
}

}  // namespace
}  // namespace zoneferry
