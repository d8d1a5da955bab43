#include "agent/start_move.h"

#include <algorithm>
#include <utility>

#include "agent/peer_session.h"
#include "agent/preflight_view.h"
#include "core/attach/detach.h"
#include "core/attach/manifest.h"
#include "core/base/digest.h"
#include "core/base/text.h"
#include "core/zone/owner_record.h"
#include "core/zone/runtime.h"
#include "transfer/tree_digest.h"

namespace zoneferry {
namespace {

struct Gathered {
    CheckReport report;
    ZoneConfig config;
    std::string address;
};

std::string plan_hash(const std::string& manifest, const CheckReport& report) {
    Sha256 hash;
    for (const std::string& part : {manifest, report.source.host_id, report.target.host_id,
                                    report.target.kernel_release, report.target.runtime}) {
        hash.update(part);
        hash.update(std::string_view("\0", 1));
    }
    for (const Finding& finding : report.findings) {
        hash.update(finding.code);
        hash.update(finding.subject);
    }
    return to_hex(hash.finish()).substr(0, 16);
}

Result<Gathered> gather(AgentContext& context, const MoveWish& wish, const std::string& move_id) {
    Gathered all;
    ZF_TRY(const ZoneName name, ZoneName::create(wish.zone));
    ZF_TRY([[maybe_unused]] const ZoneEntry entry, ZoneStore(context.root).find(name));
    if (wish.peer == context.settings.name) {
        return Error(Errc::usage, wish.peer + " is this host: a zone moves to another one")
            .remedy("zoneferry trust list");
    }
    ZF_TRY(all.config, ZoneStore(context.root).config(name));
    ZF_TRY(const SourceView view, view_source(context, all.config));
    CheckReport& report = all.report;
    ZF_TRY(report.source, gather_host_facts(context.root));
    report.running = view.state == "running";
    // The peer first: without it there is nothing to check, and measuring a large tree takes its time.
    ZF_TRY(PeerSession session, PeerSession::open(context, wish.peer, wish.peer_address));
    all.address = session.address();
    ZF_TRY(const Manifest manifest, make_manifest(context.root, all.config));
    // With a mount inside it cannot be measured, and the findings say so.
    auto tree = open_directory(context.root.at(all.config.zonepath));
    if (tree && view.mounts_inside.empty()) {
        ZF_TRY(const TreeTotals totals, measure_tree(*std::move(tree), excluded_names()));
        report.tree_bytes = totals.allocated_bytes;
        report.tree_entries = totals.entries;
    }
    MoveDemand demand{all.config, report.source, report.tree_bytes, report.tree_entries, !wish.return_of.empty()};
    report.findings = judge_source(demand, view);

    CheckRequest request;
    request.move_id = move_id;
    request.manifest = manifest_text(manifest);
    request.source = report.source;
    request.tree_bytes = report.tree_bytes;
    request.tree_entries = report.tree_entries;
    request.force = wish.force;
    request.return_of = wish.return_of;
    const std::string manifest_xml = request.manifest;
    ZF_TRY(CheckReply reply, session.ask<CheckReply>(std::move(request)));
    report.target = std::move(reply.target);
    for (Finding& finding : reply.findings) report.findings.push_back(std::move(finding));
    report.plan_hash = plan_hash(manifest_xml, report);
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
    record.cold = wish.cold;
    record.keep_source = wish.keep_source;
    record.bytes_per_second = wish.bytes_per_second;
    record.return_of = wish.return_of;
    record.was_running = all.report.running;
    record.tree_bytes = all.report.tree_bytes;
    record.tree_entries = all.report.tree_entries;
    record.begun_unix_ms = context.clock.unix_ms();
    ZF_TRY(const ZoneName name, ZoneName::create(wish.zone));
    ZF_TRY_STATUS(take_identity(context, record, name));
    return record;
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
                                 const std::string& peer_address) {
    MoveWish wish;
    wish.zone = first.zone;
    wish.peer = first.peer;
    wish.peer_address = peer_address;
    wish.keep_source = KeepSource::remove;
    wish.return_of = first.id;
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
