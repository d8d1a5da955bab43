#include "agent/gc.h"

#include <algorithm>
#include <map>
#include <set>

#include "agent/move/move_plan.h"
#include "agent/move/moved_tree.h"
#include "agent/push/push_staging.h"
#include "core/base/files.h"
#include "core/zone/store.h"

namespace zoneferry {
namespace {

using Moves = std::map<std::string, MoveRecord>;

// May this hidden directory of that move go? `kept` is a way back until the move is finalized.
bool is_useless(const MoveRecord& record, const std::string& what) {
    if (!is_over(record)) return false;
    const bool is_parked = record.phase == Phase::superseded;
    return what == "kept" ? record.phase == Phase::finalized || record.phase == Phase::returned : !is_parked;
}

Leftover judge(const Moves& moves, const std::string& what, const std::string& id, const std::string& path) {
    Leftover leftover{.what = what, .move_id = id, .path = path};
    const auto found = moves.find(id);
    if (found == moves.end()) {
        leftover.why = "belongs to no move that the journal knows: look at it before you remove it yourself";
        return leftover;
    }
    leftover.may_go = is_useless(found->second, what);
    leftover.why = "its move is " + std::string(phase_name(found->second.phase));
    return leftover;
}

// Beside every zonepath that a zone, a move or a push of this host has, or had.
std::set<std::string> places(AgentContext& context, const Moves& moves) {
    std::set<std::string> parents;
    const auto add = [&](const std::string& zonepath) { parents.insert(zonepath.substr(0, zonepath.rfind('/'))); };
    for (const auto& [id, record] : moves) {
        add(record.zonepath);
        for (const MovedTree& tree : extra_trees(record)) add(tree.path);
    }
    const ZoneStore store(context.root);
    const auto zones = store.list_readable();
    for (const ZoneEntry& zone : zones ? *zones : std::vector<ZoneEntry>()) {
        if (const auto config = store.config(zone.name)) add(config->zonepath);
    }
    for (const std::string& zonepath : push_zonepaths(context)) add(zonepath);
    parents.erase("");
    return parents;
}

void find_hidden(AgentContext& context, const Moves& moves, std::vector<Leftover>& all) {
    constexpr std::string_view kPrefix = ".zoneferry-";
    for (const std::string& parent : places(context, moves)) {
        const auto names = list_directory(context.root.at(parent));
        for (const std::string& name : names ? *names : std::vector<std::string>()) {
            const std::size_t dash = name.rfind('-');
            if (!name.starts_with(kPrefix) || dash < kPrefix.size()) continue;
            const std::string kind = name.substr(kPrefix.size(), dash - kPrefix.size());
            const std::string sort = kind.substr(0, kind.find('.'));  // without ".fs1"
            const std::string what = sort == "incoming" ? "staging" : sort;
            const std::string path = context.root.at(parent + "/" + name);
            if (what == "push") {
                PushVerdict verdict = judge_push(context, path);
                all.push_back({what, name.substr(dash + 1), path, verdict.is_dead, std::move(verdict.why)});
            } else {
                all.push_back(judge(moves, what, name.substr(dash + 1), path));
            }
        }
    }
}

// The copy that a finished move left here can only be finalized or brought back while the journal knows of it.
bool is_old(const AgentContext& context, const MoveRecord& record) {
    constexpr std::int64_t kDayMs = 86'400'000;
    const std::int64_t oldest_ms = context.clock.unix_ms() - kDayMs * context.settings.history_days;
    const bool is_needed = record.phase == Phase::activated || record.phase == Phase::superseded;
    return is_over(record) && !is_needed && record.begun_unix_ms < oldest_ms;
}

// Catalogs of pushes to hosts that are not trusted any more.
void find_forgotten_pushes(AgentContext& context, std::vector<Leftover>& all) {
    const std::string directory = context.root.state_directory() + "/pushes";
    const auto names = list_directory(directory);
    for (const std::string& name : names ? *names : std::vector<std::string>()) {
        const auto peer = context.trust.peer(name.substr(0, name.find(':')));
        if (peer || peer.error().code() != Errc::untrusted) continue;
        all.push_back({"push", name, directory + "/" + name, true, "catalogs of a push to a host that is not trusted"});
    }
}

}  // namespace

Result<std::vector<Leftover>> find_leftovers(AgentContext& context) {
    ZF_TRY(const std::vector<MoveRecord> records, context.journal.all());
    Moves moves;
    for (const MoveRecord& record : records) moves.emplace(record.id, record);
    std::vector<Leftover> all;
    find_hidden(context, moves, all);
    find_forgotten_pushes(context, all);
    const std::string directory = context.root.state_directory() + "/moves";
    const auto names = list_directory(directory);
    for (const std::string& id : names ? *names : std::vector<std::string>()) {
        const auto found = moves.find(id);
        // While a copy is kept, its catalogs are of use for the way back.
        if (found != moves.end() && (!is_over(found->second) || found->second.phase == Phase::activated)) continue;
        Leftover leftover{.what = "move", .move_id = id, .path = directory + "/" + id, .may_go = true};
        leftover.why = found == moves.end() ? "catalogs of no move that the journal knows" : "its move is over";
        all.push_back(std::move(leftover));
    }
    for (const MoveRecord& record : records) {
        if (!is_old(context, record)) continue;
        all.push_back({.what = "journal",
                       .move_id = record.id,
                       .may_go = true,
                       .why = "over since more than " + std::to_string(context.settings.history_days) + " days"});
    }
    return all;
}

Status remove_leftover(AgentContext& context, const Leftover& leftover) {
    if (!leftover.may_go) return {};
    if (leftover.what == "journal") return context.journal.forget(leftover.move_id);
    const bool is_staging = leftover.path.find("/.zoneferry-push-") != std::string::npos;
    if (is_staging) return remove_dead_push(context, leftover.path);
    return remove_tree(leftover.path);
}

}  // namespace zoneferry
