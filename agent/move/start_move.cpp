#include "agent/move/start_move.h"

#include <algorithm>
#include <utility>

#include "agent/move/extra_check.h"
#include "agent/move/finish.h"
#include "agent/move/moved_tree.h"
#include "agent/move/preflight_view.h"
#include "agent/move/probe.h"
#include "agent/move/shared_move.h"
#include "agent/move/staging_update.h"
#include "agent/peer_session.h"
#include "core/attach/detach.h"
#include "core/attach/manifest.h"
#include "core/base/digest.h"
#include "core/base/text.h"
#include "core/zone/owner_record.h"
#include "core/zone/runtime.h"
#include "core/zone/storage.h"
#include "transfer/tree_digest.h"
#include "wire/limits.h"

namespace zoneferry {
namespace {

constexpr std::size_t kNonceBytes = 16;

struct Gathered {
    CheckReport report;
    ZoneConfig config;
    std::string address;
    std::string peer_host_id;
    std::string manifest;  // only if the zone shall be updated
};

// Each part with its length before it, so that no two lists of parts give the same bytes.
std::string plan_hash(const std::string& manifest, const CheckReport& report) {
    Sha256 hash;
    const auto add = [&hash](const std::string& part) {
        hash.update(std::to_string(part.size()) + ":");
        hash.update(part);
    };
    for (const std::string& part : {manifest, report.source.host_id, report.target.host_id,
                                    report.target.kernel_release, report.target.runtime}) {
        add(part);
    }
    for (const Finding& finding : report.findings) {
        for (const std::string& part : {finding.code, finding.subject, finding.source, finding.target}) add(part);
    }
    return to_hex(hash.finish()).substr(0, 16);
}

// That the target cannot be asked is a finding like others: what the source found is shown all the same.
Finding peer_finding(const std::string& peer, const Error& error) {
    const bool is_untrusted = error.code() == Errc::untrusted;
    const bool is_away =
        error.code() == Errc::unreachable || error.code() == Errc::peer_lost || error.code() == Errc::timed_out;
    Finding finding;
    finding.code = is_untrusted ? "TRUST" : is_away ? "UNREACHABLE" : "REFUSED";
    finding.side = Side::target;
    finding.severity = Severity::block;
    finding.subject = peer;
    finding.message = error.text();
    finding.remedy = error.remedy_text();
    if (finding.remedy.empty() && is_untrusted) finding.remedy = "zoneferry trust list";
    if (finding.remedy.empty() && is_away) finding.remedy = "start the agent there: zoneferryd";
    return finding;
}

// What of it travels, as the target says, and what that means here.
Status add_extra_trees(AgentContext& context, const ZoneConfig& config, const std::vector<ExtraTree>& offered,
                       const std::vector<std::string>& travelling, CheckReport& report) {
    for (const std::string& path : travelling) {
        const auto tree =
            std::find_if(offered.begin(), offered.end(), [&](const ExtraTree& one) { return one.path == path; });
        if (tree == offered.end()) return Error(Errc::protocol, "the target wants a tree that was not offered");
        report.extra_trees.push_back(*tree);
    }
    ZF_TRY_STATUS(check_extra_trees(config, report.extra_trees));
    ZF_TRY(std::vector<ExtraPlace> places, view_extra_sources(context, config, report.extra_trees));
    const auto lun = parse_lun(report.storage);
    for (ExtraPlace& place : places) {
        if (lun && overlap(place.tree.path, lun->mount_point)) {
            place.problem = place.tree.path + " lies on the LUN that is handed over, outside the zonepath";
        }
        for (Finding& finding : judge_extra_place(place)) report.findings.push_back(std::move(finding));
    }
    return {};
}

Status ask_target(AgentContext& context, const MoveWish& wish, const std::string& move_id, const MoveDemand& demand,
                  const std::string& manifest, Gathered& all) {
    ZF_TRY(const Peer peer, context.trust.peer(wish.peer));
    if (!peer.may_receive) return Error(Errc::untrusted, wish.peer + " may not receive zones from this host");
    ZF_TRY(PeerSession session, PeerSession::open(context, wish.peer, wish.peer_address));
    all.address = session.address();
    all.peer_host_id = session.hello().host_id;
    if (!wish.probe.empty()) ZF_TRY_STATUS(session.need("probe"));
    if (wish.use_kept_copy) ZF_TRY_STATUS(session.need("kept-return"));
    if (wish.verify == VerifyMode::meta) ZF_TRY_STATUS(session.need("tree-lists"));
    std::optional<StorageOffer> offer;
    const FsProofs proofs(context, demand.config, move_id);
    const bool may_share = wish.shared != SharedWish::never && session.need("shared-storage");
    if (may_share) offer.emplace(context, demand.config, move_id);
    CheckRequest request;
    if (offer) request.storage = offer->text();
    request.move_id = move_id;
    request.manifest = manifest;
    request.source = demand.source;
    request.tree_bytes = demand.tree_bytes;
    request.tree_entries = demand.tree_entries;
    request.long_link = demand.long_link;
    request.force = wish.force;
    request.return_of = wish.return_of;
    request.use_kept_copy = wish.use_kept_copy;
    if (session.need("extra-trees")) {
        ZF_TRY(request.extra_trees, measure_extra_trees(context, proofs.paths()));
    }
    const std::vector<ExtraTree> offered = request.extra_trees;
    ZF_TRY(CheckReply reply, session.ask<CheckReply>(std::move(request)));
    CheckReport& report = all.report;
    report.target = std::move(reply.target);
    if (reply.shared > static_cast<std::uint8_t>(SharedKind::lun)) {
        return Error(Errc::protocol, wish.peer + " answers with an impossible kind of storage");
    }
    const auto is_about_storage = [](const Finding& finding) { return finding.code.starts_with("STORAGE_"); };
    const auto others = std::stable_partition(reply.findings.begin(), reply.findings.end(), is_about_storage);
    std::vector<Finding> about(std::make_move_iterator(reply.findings.begin()), std::make_move_iterator(others));
    reply.findings.erase(reply.findings.begin(), others);
    SharedVerdict verdict = judge_shared(wish.shared, static_cast<SharedKind>(reply.shared),
                                         offer && offer->is_proved_by(reply), std::move(about));
    report.shared = verdict.kind;
    if (report.shared == SharedKind::lun) report.storage = offer->text();
    for (Finding& finding : reply.findings) report.findings.push_back(std::move(finding));
    ZF_TRY_STATUS(add_extra_trees(context, demand.config, offered, reply.travelling, report));
    if (demand.config.storage && report.shared != SharedKind::lun) {
        report.findings.push_back(storage_left(demand.config));
    }
    for (Finding& finding : verdict.findings) report.findings.push_back(std::move(finding));
    report.plan_hash = plan_hash(manifest, report);
    return {};
}

Result<Gathered> gather(AgentContext& context, const MoveWish& wish, const std::string& move_id) {
    Gathered all;
    if (!wish.probe.empty()) ZF_TRY_STATUS(parse_probe(wish.probe));
    ZF_TRY(const ZoneName name, ZoneName::create(wish.zone));
    const ZoneStore store(context.root);
    ZF_TRY([[maybe_unused]] const ZoneEntry entry, store.find(name));  // says that there is no such zone
    if (wish.peer == context.settings.name) {
        return Error(Errc::usage, wish.peer + " is this host: a zone moves to another one")
            .remedy("zoneferry trust list");
    }
    ZF_TRY(all.config, store.config(name));
    ZF_TRY(const SourceView view, view_source(context, all.config));
    CheckReport& report = all.report;
    ZF_TRY(report.source, gather_host_facts(context.root));
    report.running = view.state == "running";
    ZF_TRY(Manifest manifest, make_manifest(context.root, all.config));
    ZF_TRY_STATUS(add_update(context.root, wish.update, manifest));
    if (manifest.update) all.manifest = manifest_text(manifest);
    // With a mount inside it cannot be measured, and the findings say so.
    const std::string zonepath = context.root.at(all.config.zonepath);
    std::string long_link;
    if (open_directory(zonepath) && view.mounts_inside.empty()) {
        ZF_TRY(const TreeTotals totals, measure_running(zonepath, excluded_names()));
        report.tree_bytes = totals.allocated_bytes;
        report.tree_entries = totals.entries;
        if (totals.longest_link_bytes > kEveryLinkBytesMax) long_link = totals.longest_link;
    }
    MoveDemand demand{all.config, report.source, report.tree_bytes, report.tree_entries, !wish.return_of.empty()};
    demand.use_kept_copy = wish.use_kept_copy;
    demand.long_link = long_link.substr(0, kSentenceBytesMax);
    report.findings = judge_source(demand, view);
    Status asked = ask_target(context, wish, move_id, demand, manifest_text(manifest), all);
    if (!asked) {
        report.findings.push_back(peer_finding(wish.peer, asked.error()));
        report.peer_error = std::move(asked).error();
    }
    return all;
}

// The zone's uuid and epoch: from its owner record, or new with the first move.
Status take_identity(AgentContext& context, MoveRecord& record, const ZoneName& name) {
    ZF_TRY(const std::optional<OwnerRecord> owner, OwnerStore(context.root).load(name, record.zonepath));
    if (owner) {
        record.zone_uuid = owner->zone_uuid;
        record.epoch = owner->epoch;
        return {};
    }
    ZF_TRY(const ZoneEntry entry, ZoneStore(context.root).find(name));
    record.zone_uuid = entry.uuid.empty() ? new_uuid() : entry.uuid;
    record.epoch = 1;
    return {};
}

Result<MoveRecord> make_record(AgentContext& context, const MoveWish& wish, const Gathered& all,
                               const std::string& move_id) {
    MoveRecord record;
    record.id = move_id;
    record.role = Role::source;
    record.phase = Phase::begun;
    record.zone = wish.zone;
    record.peer = wish.peer;
    record.peer_address = all.address;
    record.zonepath = all.config.zonepath;
    record.force = wish.force;
    record.manifest = all.manifest;
    record.cold = wish.cold;
    record.keep_source = wish.keep_source;
    record.bytes_per_second = wish.bytes_per_second;
    record.return_of = wish.return_of;
    record.uses_kept_copy = wish.use_kept_copy;
    record.hold = wish.hold;
    record.max_downtime_ms = wish.max_downtime_ms;
    record.probe = wish.probe;
    record.probe_limit_ms = wish.probe_limit_ms;
    record.rollback_on_failure = wish.rollback_on_failure;
    record.shared = all.report.shared;
    record.storage = all.report.storage;
    if (is_shared(record)) record.nonce = to_hex(random_bytes(kNonceBytes));
    record.verify = wish.verify;
    record.extra_trees = extra_trees_text(all.report.extra_trees);
    record.peer_host_id = all.peer_host_id;
    record.was_running = all.report.running;
    record.tree_bytes = all.report.tree_bytes;
    record.tree_entries = all.report.tree_entries;
    record.begun_unix_ms = context.clock.unix_ms();
    ZF_TRY(const ZoneName name, ZoneName::create(wish.zone));
    ZF_TRY_STATUS(take_identity(context, record, name));
    return record;
}

// A zone that could not be attached here (its update failed) is whole, as it came: it is attached without a comparison,
// so that it can go home as it is. False: it is attached.
Result<bool> attach_for_return(AgentContext& context, const MoveRecord& first) {
    ZF_TRY(const ZoneName name, ZoneName::create(first.zone));
    const ZoneStore store(context.root);
    ZF_TRY(const ZoneEntry entry, store.find(name));
    if (entry.state != ZoneState::configured || first.role != Role::target) return false;
    ZF_TRY(const ZoneLock lock, store.lock(name));
    ZF_TRY_STATUS(attach_again(context, first, lock));
    return true;
}

}  // namespace

Result<CheckReport> check_move(AgentContext& context, const MoveWish& wish) {
    ZF_TRY(Gathered all, gather(context, wish, new_move_id()));
    return std::move(all.report);
}

Result<StartedMove> start_move(AgentContext& context, MoveDesk& desk, const MoveWish& wish) {
    StartedMove started;
    const std::string id = new_move_id();
    ZF_TRY(Gathered all, gather(context, wish, id));
    if (!is_blocked(all.report.findings)) {
        ZF_TRY(const MoveRecord record, make_record(context, wish, all, id));
        ZF_TRY_STATUS(desk.start(record));
        started.move_id = id;
    }
    started.check = std::move(all.report);
    return started;
}

Result<std::string> start_return(AgentContext& context, MoveDesk& desk, const MoveRecord& first,
                                 const std::string& peer_address, bool use_kept_copy) {
    MoveWish wish;
    wish.zone = first.zone;
    wish.peer = first.peer;
    wish.peer_address = peer_address;
    wish.keep_source = KeepSource::remove;
    wish.return_of = first.id;
    wish.use_kept_copy = use_kept_copy;
    if (is_shared(first) && use_kept_copy) {
        return Error(Errc::conflict, "zone " + first.zone + " lies on shared storage: there is no older copy to take")
            .remedy("zoneferry rollback " + first.id);
    }
    ZF_TRY(wish.force, attach_for_return(context, first));
    wish.shared = is_shared(first) ? SharedWish::require : SharedWish::never;
    ZF_TRY(const StartedMove started, start_move(context, desk, wish));
    if (!started.move_id.empty()) return started.move_id;
    for (const Finding& finding : started.check.findings) {
        if (finding.severity == Severity::block) {
            return Error(Errc::blocked, "the zone cannot go back: " + finding.message).remedy(finding.remedy);
        }
    }
    return Error(Errc::blocked, "the zone cannot go back");
}

}  // namespace zoneferry
