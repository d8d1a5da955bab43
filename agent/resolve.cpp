#include "agent/resolve.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "agent/guarded.h"
#include "agent/move/finish.h"
#include "agent/move/target_move.h"
#include "agent/peer_session.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

using Deed = Resolution::Deed;

std::string standing(const MoveRecord& record) {
    return "move " + record.id + " is " + std::string(phase_name(record.phase)) + " on this host";
}

std::string running_twice(const MoveRecord& record) {
    return "If " + record.peer + " runs zone " + record.zone +
           " now or later, before it has heard of this, the zone runs twice and " + "what one of them writes is lost.";
}

// Above every epoch that this host has heard of.
Result<std::int64_t> next_epoch(AgentContext& context, const MoveRecord& record) {
    ZF_TRY(const ZoneName name, ZoneName::create(record.zone));
    const auto owner = OwnerStore(context.root).load(name, record.zonepath);
    const std::uint64_t known = owner && *owner ? (*owner)->epoch : 0;
    return static_cast<std::int64_t>(epoch_by_word(record, known));
}

// The zone is ours from here on, whatever the activation comes to.
void activate_and_tell(AgentContext& context, const MoveRecord& record) {
    const auto done = activate_move(context, record);
    if (!done) return tell_activation_failed(context, record, done.error());
    const auto after = context.journal.find(record.id);
    if (after && *after) context.board.publish(end_news(**after));
}

}  // namespace

Result<Resolution> plan_resolution(const MoveRecord& record, Word word, const std::string& this_host) {
    Resolution plan;
    if (record.role == Role::source) {
        if (word == Word::adopt) {
            return Error(Errc::conflict, "this host is the move's source: only its target can adopt the zone")
                .remedy("on " + record.peer + ": zoneferry resolve " + record.zone + " --adopt");
        }
        if (can_abort(record)) {
            return Error(Errc::conflict, standing(record) + ": the zone has never left it")
                .remedy("zoneferry abort " + record.id);
        }
        if (!allows(record, EventKind::reclaiming)) {
            return Error(Errc::conflict, standing(record) + ": there is nothing to reclaim");
        }
        plan.deed = Deed::reclaim_here;
        plan.risk = "Zone " + record.zone + " becomes " + this_host +
                    "'s again, as it was when it was halted here. What it wrote on " + record.peer +
                    " since is lost to it. " + running_twice(record);
        return plan;
    }
    if (word == Word::adopt) {
        if (!allows(record, EventKind::adopted)) {
            return Error(Errc::conflict, standing(record) + ": there is nothing complete to adopt");
        }
        plan.deed = Deed::adopt_here;
        plan.risk = "Zone " + record.zone + " becomes " + this_host + "'s, as it was when " + record.peer +
                    " halted it. What " + record.peer + " has let it write since is lost to it. " +
                    running_twice(record);
        return plan;
    }
    if (record.phase != Phase::ready && record.phase != Phase::incoming) {
        return Error(Errc::conflict, standing(record) + ": it can only be brought back")
            .remedy("zoneferry rollback " + record.id);
    }
    plan.deed = Deed::discard_here;
    plan.risk = "What lies here of zone " + record.zone + " is deleted. If " + record.peer +
                " has lost it, or had released it, this is the only copy.";
    return plan;
}

PeerWord ask_peer_about(AgentContext& context, const MoveRecord& record) {
    constexpr int kPatienceMs = 5'000;
    auto session = PeerSession::open(context, record.peer, record.peer_address, kPatienceMs);
    if (!session) return {};
    StatusRequest request;
    request.move_id = record.id;
    const auto reply = session->ask<StatusReply>(std::move(request), kPatienceMs);
    if (!reply) return {};
    if (!reply->known) return {PeerWord::Kind::knows_nothing, {}};
    return {PeerWord::Kind::knows, reply->phase};
}

Status check_deed(const MoveRecord& record, Deed deed, const PeerWord& peer, bool is_fenced) {
    if (deed == Deed::discard_here) {
        const bool is_given = peer.phase == phase_name(Phase::released) || peer.phase == phase_name(Phase::owned);
        if (is_given) {
            return Error(Errc::conflict, record.peer + " has released the zone to this host: what lies here is needed")
                .remedy("bring the link back: the move ends by itself");
        }
        const bool may_be_given = record.phase == Phase::ready && peer.kind == PeerWord::Kind::silent;
        if (!may_be_given || is_fenced) return {};
        return Error(Errc::in_doubt, record.peer + " does not answer, and may have released the zone to this host")
            .remedy("bring the link back; only when that host is off, wiped or cut off for good: add --peer-is-fenced");
    }
    if (is_fenced) return {};
    // Deleted there by a person's word: nothing of the zone is left that could run.
    if (deed == Deed::reclaim_here && peer.phase == phase_name(Phase::discarded)) return {};
    if (peer.kind == PeerWord::Kind::knows_nothing) {
        return Error(Errc::in_doubt,
                     record.peer + " knows nothing of the move (any more), and may be running zone " + record.zone)
            .remedy("look there first: zoneadm list -cv; only when it cannot run the zone: add --peer-is-fenced");
    }
    if (peer.kind == PeerWord::Kind::knows) {
        return Error(Errc::conflict, record.peer + " answers (there the move is " + printable(peer.phase) +
                                         "): the two hosts can end this by themselves")
            .remedy("zoneferry watch " + record.id + "; or zoneferry rollback " + record.id);
    }
    return Error(Errc::in_doubt, record.peer + " does not answer, and may be running zone " + record.zone)
        .remedy("only when that host is off, wiped or cut off for good: add --peer-is-fenced");
}

Status carry_out(AgentContext& context, MoveDesk& desk, const MoveRecord& record, Deed deed, const std::string& who) {
    ZF_TRY(const std::int64_t epoch, next_epoch(context, record));
    const std::string word = deed == Deed::reclaim_here ? "reclaimed"
                             : deed == Deed::adopt_here ? "adopted"
                                                        : "discarded";
    const std::string text = word + " by " + who + " on " + context.settings.name +
                             (deed == Deed::discard_here ? "" : ", epoch " + std::to_string(epoch));
    ZF_TRY_STATUS(context.journal.audit(record.zone, record.id, text));
    spdlog::warn("zone {}, move {}: {}", record.zone, record.id, text);
    if (deed == Deed::reclaim_here) {
        return desk.reclaim(record.id, {.kind = MoveRequest::Kind::reclaim, .reason = text, .epoch = epoch});
    }
    ZF_TRY(const MoveDesk::Claim claim, desk.claim(record.id, nullptr));
    if (deed == Deed::discard_here) {
        ZF_TRY(const MoveRecord after, discard_incoming(context, record, Error(Errc::cancelled, text)));
        context.board.publish(end_news(after));
        return {};
    }
    ZF_TRY(const MoveRecord after,
           context.journal.apply(record.id, MoveEvent{.kind = EventKind::adopted, .text = text, .number = epoch}));
    activate_and_tell(context, after);
    return {};
}

Status unpark(AgentContext& context, const std::string& zone, const std::string& who) {
    ZF_TRY(const ZoneName name, ZoneName::create(zone));
    ZF_TRY(const ZoneConfig config, ZoneStore(context.root).config(name));
    ZF_TRY(const ZoneLock lock, ZoneStore(context.root).lock(name));
    OwnerStore owners(context.root);
    ZF_TRY(std::optional<OwnerRecord> owner, owners.load(name, config.zonepath));
    if (!owner || owner->state != Ownership::parked) {
        return Error(Errc::conflict, "zone " + zone + " is not parked on this host");
    }
    owner->state = Ownership::owned;
    owner->epoch += 1;
    owner->host = context.settings.name;
    owner->move_id.clear();
    owner->since_unix_ms = context.clock.unix_ms();
    ZF_TRY_STATUS(context.journal.audit(
        zone, "", "adopted by " + who + " on " + context.settings.name + ", epoch " + std::to_string(owner->epoch)));
    return owners.save(*owner, config.zonepath);
}

}  // namespace zoneferry
