#include "agent/claims.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <thread>

#include "agent/guarded.h"
#include "agent/move/finish.h"
#include "agent/peer_session.h"
#include "core/base/digest.h"
#include "core/base/text.h"
#include "core/zone/runtime.h"
#include "core/zone/state_binding.h"
#include "wire/limits.h"

namespace zoneferry {
namespace {

struct Answer {
    std::string peer;
    std::vector<OwnerClaim> claims;
};

Result<std::vector<OwnerClaim>> ask_peer(AgentContext& context, const Peer& peer, const OwnersRequest& request,
                                         int timeout_ms) {
    ZF_TRY(PeerSession session, PeerSession::open(context, peer.host, {}, timeout_ms));
    ZF_TRY_STATUS(session.need("owner-claims"));
    ZF_TRY(OwnersReply reply, session.ask<OwnersReply>(request, timeout_ms));
    return std::move(reply.claims);
}

// The newest move of that zone that may have to be told, or one that only names the zone.
MoveRecord move_of(AgentContext& context, const OwnerClaim& claim) {
    if (auto found = context.journal.resolve(claim.zone); found && found->zone_uuid == claim.zone_uuid) {
        return *std::move(found);
    }
    MoveRecord record;
    record.zone = claim.zone;
    record.zone_uuid = claim.zone_uuid;
    const auto name = ZoneName::create(claim.zone);
    if (const auto config = name ? ZoneStore(context.root).config(*name) : Result<ZoneConfig>(name.error())) {
        record.zonepath = config->zonepath;
    }
    return record;
}

// True while this host still claims that zone under that epoch: a move may have ended since it was asked about.
bool is_still_claimed(AgentContext& context, const OwnerClaim& ours) {
    const std::vector<OwnerClaim> now = own_claims(context);
    return std::any_of(now.begin(), now.end(), [&](const OwnerClaim& one) {
        return one.zone == ours.zone && one.zone_uuid == ours.zone_uuid && one.epoch == ours.epoch;
    });
}

// A move that works beside the running zone is given up, so that the next round can park it. One that has halted the
// zone already is left alone: its undo would start the zone here.
Status end_move_beside(MoveDesk& desk, const MoveRecord& record, const std::string& peer) {
    const bool is_beside = can_abort(record) && record.phase != Phase::aborting && !is_down_before_release(record);
    if (!is_beside) return {};
    return desk.request(record.id, {.reason = peer + " holds zone " + record.zone + ", so it cannot be moved from here",
                                    .code = Errc::not_owner});
}

Status park_loser(AgentContext& context, MoveDesk& desk, const OwnerClaim& ours, const OwnerClaim& theirs,
                  const std::string& peer) {
    const MoveRecord record = move_of(context, ours);
    if (desk.is_working_on(record.id)) return end_move_beside(desk, record, peer);
    ZF_TRY(const ZoneName name, ZoneName::create(ours.zone));
    ZF_TRY(const ZoneLock lock, ZoneStore(context.root).lock(name));
    if (!is_still_claimed(context, ours)) return {};
    return park_zone(context, record, lock, theirs.epoch, peer);
}

// The claim of ours that loses against this answer. What was asked by name counts if the answer knows our uuid.
std::vector<OwnerClaim>::const_iterator lost_claim(const std::vector<OwnerClaim>& claims,
                                                   const std::vector<OwnerClaim>& asked, const OwnerClaim& theirs,
                                                   const std::string& this_host) {
    for (std::size_t i = 0; i < claims.size(); ++i) {
        const OwnerClaim& ours = claims[i];
        if (ours.zone != theirs.zone) continue;
        OwnerClaim named = theirs;
        const bool by_name = asked[i].zone_uuid.empty();
        if (by_name && theirs.zone_uuid != knowledge_of(ours.zone_uuid, this_host)) continue;
        if (by_name) named.zone_uuid = ours.zone_uuid;
        if (loses_against(ours, named)) return claims.begin() + static_cast<std::ptrdiff_t>(i);
    }
    return claims.end();
}

bool is_parked(AgentContext& context, const ZoneName& name) {
    const auto config = ZoneStore(context.root).config(name);
    if (!config) return false;
    const auto owner = OwnerStore(context.root).load(name, config->zonepath);
    return owner && *owner && (*owner)->state == Ownership::parked;
}

Status halt_if_parked(AgentContext& context, const ZoneName& name) {
    Runtime runtime(context.root);
    ZF_TRY(const RuntimeStatus before, runtime.status(name));
    if (!before.is_up()) return {};
    ZF_TRY(const ZoneLock lock, ZoneStore(context.root).lock(name));
    if (!is_parked(context, name)) return {};
    spdlog::warn("zone {} is parked and runs: it is halted", name.str());
    return runtime.halt(lock, name, context.settings.halt_grace_s * 1000);
}

}  // namespace

std::vector<OwnerClaim> own_claims(AgentContext& context) {
    std::vector<OwnerClaim> claims;
    const ZoneStore store(context.root);
    const auto zones = store.list_readable();
    for (const ZoneEntry& zone : zones ? *zones : std::vector<ZoneEntry>()) {
        const auto config = store.config(zone.name);
        if (!config || zone.state != ZoneState::installed || claims.size() == kClaimsMax) continue;
        const auto owner = OwnerStore(context.root).load(zone.name, config->zonepath);
        if (!owner || !check_may_boot(*owner)) continue;
        OwnerClaim claim;
        claim.zone = zone.name.str();
        claim.zone_uuid = *owner ? (*owner)->zone_uuid : zone.uuid;
        claim.epoch = *owner ? (*owner)->epoch : 0;
        claim.held = true;
        if (!claim.zone_uuid.empty()) claims.push_back(std::move(claim));
    }
    // Taken, but not put in place yet: the next start would do that.
    const auto moves = context.journal.all();
    for (const MoveRecord& move : moves ? *moves : std::vector<MoveRecord>()) {
        if (move.role != Role::target || move.phase != Phase::owned || claims.size() == kClaimsMax) continue;
        OwnerClaim claim;
        claim.zone = move.zone;
        claim.zone_uuid = move.zone_uuid;
        claim.epoch = holder_epoch(move);
        claim.held = true;
        if (!claim.zone_uuid.empty()) claims.push_back(std::move(claim));
    }
    return claims;
}

OwnersReply answer_claims(AgentContext& context, const OwnersRequest& request, const std::string& asking_host) {
    OwnersReply reply;
    for (const OwnerClaim& asked : request.claims) {
        const auto name = ZoneName::create(asked.zone);
        if (!name) continue;
        const auto config = ZoneStore(context.root).config(*name);
        const auto owner = OwnerStore(context.root).load(*name, config ? config->zonepath : std::string());
        if (!owner || !*owner || (*owner)->zone_uuid.empty()) continue;
        const bool by_name = asked.zone_uuid.empty();
        if (!by_name && (*owner)->zone_uuid != asked.zone_uuid) continue;
        const bool is_here = (*owner)->state == Ownership::owned || (*owner)->state == Ownership::frozen;
        OwnerClaim claim;
        claim.zone = asked.zone;
        claim.zone_uuid = by_name ? knowledge_of((*owner)->zone_uuid, asking_host) : asked.zone_uuid;
        claim.epoch = (*owner)->epoch;
        claim.held = is_here && (*owner)->host == context.settings.name;
        reply.claims.push_back(std::move(claim));
    }
    return reply;
}

std::vector<OwnerClaim> claims_shared_with(const std::vector<MoveRecord>& moves, const std::string& peer,
                                           const std::vector<OwnerClaim>& claims) {
    std::vector<OwnerClaim> shared;
    std::copy_if(claims.begin(), claims.end(), std::back_inserter(shared), [&](const OwnerClaim& claim) {
        return std::any_of(moves.begin(), moves.end(), [&](const MoveRecord& move) {
            return move.peer == peer && move.zone == claim.zone && move.zone_uuid == claim.zone_uuid;
        });
    });
    return shared;
}

std::vector<OwnerClaim> questions_for(const std::vector<MoveRecord>& moves, const std::string& peer,
                                      const std::vector<OwnerClaim>& claims) {
    const std::vector<OwnerClaim> shared = claims_shared_with(moves, peer, claims);
    std::vector<OwnerClaim> questions = claims;
    for (OwnerClaim& question : questions) {
        const bool is_shared =
            std::any_of(shared.begin(), shared.end(), [&](const OwnerClaim& one) { return one.zone == question.zone; });
        if (!is_shared) question.zone_uuid.clear();
    }
    return questions;
}

std::string knowledge_of(const std::string& zone_uuid, const std::string& asking_host) {
    return to_hex(sha256(as_bytes("zoneferry owner claim\n" + zone_uuid + "\n" + asking_host + "\n")));
}

bool loses_against(const OwnerClaim& ours, const OwnerClaim& theirs) {
    return theirs.held && !ours.zone_uuid.empty() && theirs.zone == ours.zone && theirs.zone_uuid == ours.zone_uuid &&
           theirs.epoch >= ours.epoch;
}

namespace {

// True: the record beside a shared tree gives the zone to another host, under an epoch above ours.
bool is_taken(AgentContext& context, const ZoneName& name, OwnerRecord& ours, OwnerRecord& theirs) {
    const OwnerStore owners(context.root);
    const auto config = ZoneStore(context.root).config(name);
    const auto here = owners.load(name, "");
    if (!config || !here || !*here || (*here)->storage.empty() || (*here)->state != Ownership::owned) return false;
    const auto beside = owners.load_beside(config->zonepath);
    if (!beside || !*beside || (*beside)->epoch <= (*here)->epoch) return false;
    ours = **here;
    theirs = **beside;
    return ours.zone_uuid == theirs.zone_uuid;
}

Status park_if_taken(AgentContext& context, const ZoneName& name) {
    OwnerRecord ours;
    OwnerRecord theirs;
    if (!is_taken(context, name, ours, theirs)) return {};
    ZF_TRY(const ZoneLock lock, ZoneStore(context.root).lock(name));
    if (!is_taken(context, name, ours, theirs)) return {};
    OwnerClaim claim;
    claim.zone = ours.zone;
    claim.zone_uuid = ours.zone_uuid;
    return park_zone(context, move_of(context, claim), lock, theirs.epoch, theirs.host);
}

}  // namespace

void park_taken_zones(AgentContext& context) {
    const auto zones = ZoneStore(context.root).list_readable();
    for (const ZoneEntry& zone : zones ? *zones : std::vector<ZoneEntry>()) {
        if (zone.state != ZoneState::installed) continue;
        const Status parked = park_if_taken(context, zone.name);
        if (!parked && parked.error().code() != Errc::busy) {
            spdlog::error("zone {}, which was taken over, could not be parked: {}", zone.name.str(),
                          parked.error().text());
        }
    }
}

void halt_parked_zones(AgentContext& context) {
    const auto zones = ZoneStore(context.root).list_readable();
    for (const ZoneEntry& zone : zones ? *zones : std::vector<ZoneEntry>()) {
        if (zone.state != ZoneState::installed || !is_parked(context, zone.name)) continue;
        const Status halted = halt_if_parked(context, zone.name);
        if (!halted) spdlog::error("parked zone {} could not be halted: {}", zone.name.str(), halted.error().text());
    }
}

namespace {

// A peer says that this host is there twice (its words), or one has answered as ever and nobody says so.
void note_doubled(AgentContext& context, const std::string& words, bool is_answered) {
    if (words.empty() && !is_answered) return;
    if (!words.empty()) spdlog::error("no zone is booted here: {}", words);
    const Status noted = set_doubled(context.root, words);
    if (!noted) spdlog::error("{}", noted.error().text());
}

}  // namespace

void ask_peers_for_claims(AgentContext& context, MoveDesk& desk, int timeout_ms) {
    const std::vector<OwnerClaim> claims = own_claims(context);
    const auto peers = context.trust.peers();
    const auto moves = context.journal.all();
    const auto zones = ZoneStore(context.root).list_readable();
    // Also with nothing to claim: a peer may say that this host is there twice.
    if (!zones || zones->empty() || !peers || !moves) return;
    std::mutex mutex;
    std::vector<Answer> answers;
    std::string doubled;
    {
        std::vector<std::jthread> asking;
        for (const Peer& peer : *peers) {
            if (!peer.may_receive || peer.address.empty()) continue;
            OwnersRequest request;
            request.claims = questions_for(*moves, peer.host, claims);
            asking.emplace_back([&, peer, request = std::move(request)] {
                const Status done = guarded([&] {
                    auto theirs = ask_peer(context, peer, request, timeout_ms);
                    const std::lock_guard guard(mutex);
                    if (theirs) answers.push_back({peer.host, *std::move(theirs)});
                    if (!theirs && theirs.error().code() == Errc::doubled) doubled = theirs.error().text();
                });
                if (!done) spdlog::warn("{}", done.error().text());
            });
        }
    }
    note_doubled(context, doubled, !answers.empty());
    for (const Answer& answer : answers) {
        const std::vector<OwnerClaim> asked = questions_for(*moves, answer.peer, claims);
        for (const OwnerClaim& theirs : answer.claims) {
            const auto ours = lost_claim(claims, asked, theirs, context.settings.name);
            if (ours == claims.end()) continue;
            const Status parked = park_loser(context, desk, *ours, theirs, answer.peer);
            if (!parked) spdlog::error("zone {} could not be parked: {}", ours->zone, parked.error().text());
        }
    }
}

}  // namespace zoneferry
