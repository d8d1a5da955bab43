#include "agent/move/target_move.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/move/extra_check.h"
#include "agent/move/finish.h"
#include "agent/move/moved_tree.h"
#include "agent/move/preflight_view.h"
#include "agent/move/probe.h"
#include "agent/move/shared_move.h"
#include "agent/move/staging_update.h"
#include "core/attach/attach.h"
#include "core/attach/detach.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/update/attach_update.h"
#include "core/zone/index.h"
#include "core/zone/runtime.h"
#include "core/zone/storage.h"
#include "wire/limits.h"

namespace zoneferry {
namespace {

MoveRecord record_from(const PrepareRequest& request, const ZoneConfig& config, const std::string& peer,
                       const std::string& peer_address) {
    MoveRecord record;
    record.id = request.move_id;
    record.role = Role::target;
    record.phase = Phase::incoming;
    record.zone = request.zone;
    record.zone_uuid = request.zone_uuid;
    record.peer = peer;
    record.peer_address = peer_address;
    record.zonepath = config.zonepath;
    record.epoch = request.epoch;
    record.force = request.force;
    record.return_of = request.return_of;
    record.was_running = request.was_running;
    record.tree_bytes = request.tree_bytes;
    record.tree_entries = request.tree_entries;
    record.uses_kept_copy = request.use_kept_copy;
    record.shared = static_cast<SharedKind>(request.shared);
    record.storage = request.storage;
    record.extra_trees = extra_trees_text(request.extra_trees);
    record.probe = request.probe;
    record.probe_limit_ms = request.probe_limit_ms;
    return record;
}

// True: of one of them nothing is there.
Result<bool> make_stagings(AgentContext& context, const MoveRecord& record) {
    bool is_fresh =
        sends_zonepath(record) && !path_exists(staging_path(context.root, zonepath_tree(record), record.id) + "/root");
    for (const MovedTree& tree : sent_trees(record)) {
        const std::string path = staging_path(context.root, tree, record.id);
        if (::mkdir(path.c_str(), 0700) == 0) {
            is_fresh = true;
        } else if (errno != EEXIST) {
            return system_error("make " + printable(path), errno);
        }
        ZF_TRY_STATUS(sync_directory(path.substr(0, path.rfind('/'))));
    }
    return is_fresh;
}

// The same move asked for again, after a broken link or a restart.
Result<Reservation> reserve_again(AgentContext& context, const MoveRecord& record, const PrepareRequest& request,
                                  const std::string& peer) {
    if (record.role != Role::target || record.peer != peer || record.zone != request.zone) {
        return Error(Errc::conflict, "move " + record.id + " is known here as another one");
    }
    if (record.phase != Phase::incoming && record.phase != Phase::ready) {
        return Error(Errc::conflict,
                     "move " + record.id + " is " + std::string(phase_name(record.phase)) + " here already");
    }
    ZF_TRY([[maybe_unused]] const bool was_half_updated, discard_half_updated(context, record));
    ZF_TRY_STATUS(remove_tree(received_path(context.root, zonepath_tree(record), record.id)));
    // Also when the agent died between the journal and these two.
    ZF_TRY_STATUS(set_owner(context, record, Ownership::incoming, record.epoch, peer));
    ZF_TRY(const bool fresh, make_stagings(context, record));
    return Reservation{record, fresh};
}

// Checked before anything is journaled: these become the owner record.
Status check_identity(const PrepareRequest& request) {
    if (request.epoch >= kEpochMax) return Error(Errc::protocol, "an impossible epoch");
    const bool is_lun_move = request.shared == static_cast<std::uint8_t>(SharedKind::lun);
    if (request.shared > static_cast<std::uint8_t>(SharedKind::lun) || is_lun_move != is_lun(request.storage)) {
        return Error(Errc::protocol, "an impossible kind of shared storage");
    }
    if (!request.zone_uuid.empty() && !is_uuid(request.zone_uuid)) return Error(Errc::protocol, "zone_uuid is not one");
    return {};
}

// A rollback may only undo a move of ours to this very peer, of this very zone: the copy kept here is replaced.
Status check_return(AgentContext& context, const PrepareRequest& request, const std::string& peer) {
    if (request.return_of.empty()) {
        if (!request.use_kept_copy) return {};
        return Error(Errc::protocol, "only a rollback can take a kept copy");
    }
    ZF_TRY(const std::optional<MoveRecord> first, context.journal.find(request.return_of));
    const bool fits = first && first->role == Role::source && first->phase == Phase::activated && first->peer == peer &&
                      first->zone == request.zone && first->zone_uuid == request.zone_uuid &&
                      request.epoch > first->epoch;
    // What is kept here of a shared tree is the tree itself.
    const bool is_same_way = first && first->shared == static_cast<SharedKind>(request.shared);
    if (fits && (first->shared == SharedKind::none || (is_same_way && !request.use_kept_copy))) return {};
    if (fits) {
        return Error(Errc::conflict, "move " + request.return_of + " brought zone " + request.zone + " to " + peer +
                                         " on shared storage: it goes back on that storage only, no byte of it travels")
            .remedy("let both hosts see the storage again, then: zoneferry rollback " + request.return_of);
    }
    return Error(Errc::conflict, "move " + printable(request.return_of) + " of zone " + printable(request.zone) +
                                     " to " + peer + " is none that can be undone here");
}

// A name with an owner record of a higher epoch has moved on since; this offer is a ghost of the past.
Status refuse_older_epoch(AgentContext& context, const PrepareRequest& request, const ZoneName& name,
                          const std::string& zonepath) {
    ZF_TRY(const std::optional<OwnerRecord> owner, OwnerStore(context.root).load(name, zonepath));
    if (!owner || owner->zone_uuid != request.zone_uuid || owner->epoch <= request.epoch) return {};
    return Error(Errc::not_owner, "this host knows a newer owner of zone " + name.str() + ": " +
                                      printable(owner->host) + ", epoch " + std::to_string(owner->epoch));
}

}  // namespace

bool is_move_id(std::string_view text) {
    constexpr std::size_t kLengthMax = 40;
    return !text.empty() && text.size() <= kLengthMax &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<Reservation> reserve_move(AgentContext& context, const PrepareRequest& request, const std::string& peer,
                                 const std::string& peer_address) {
    if (!is_move_id(request.move_id)) return Error(Errc::protocol, "a move id has hexadecimal digits only");
    const std::lock_guard one_at_a_time(context.beginning);
    ZF_TRY(const std::optional<MoveRecord> known, context.journal.find(request.move_id));
    if (known) return reserve_again(context, *known, request, peer);

    ZF_TRY_STATUS(check_identity(request));
    if (!request.probe.empty()) ZF_TRY_STATUS(parse_probe(request.probe));
    ZF_TRY_STATUS(check_return(context, request, peer));
    ZF_TRY(const Manifest manifest, parse_manifest(request.manifest));
    ZF_TRY(const ZoneName name, ZoneName::create(request.zone));
    if (manifest.config.name != request.zone) return Error(Errc::protocol, "the manifest is of another zone");
    ZF_TRY_STATUS(check_declared(manifest.config, static_cast<SharedKind>(request.shared), request.storage));
    MoveDemand demand{manifest.config, request.source, request.tree_bytes, request.tree_entries,
                      !request.return_of.empty()};
    demand.shared = static_cast<SharedKind>(request.shared);
    demand.storage = request.storage;
    demand.updates = manifest.update.has_value();
    demand.use_kept_copy = request.use_kept_copy;
    demand.extra_trees = request.extra_trees;
    ZF_TRY_STATUS(check_extra_trees(manifest.config, request.extra_trees));
    ZF_TRY(const std::vector<Finding> findings,
           check_target(context, manifest, demand, request.move_id, request.return_of, request.force));
    for (const Finding& finding : findings) {
        if (finding.severity == Severity::block) return Error(Errc::blocked, finding.message).remedy(finding.remedy);
    }
    ZF_TRY_STATUS(refuse_older_epoch(context, request, name, manifest.config.zonepath));

    MoveRecord record = record_from(request, manifest.config, peer, peer_address);
    record.begun_unix_ms = context.clock.unix_ms();
    ZF_TRY_STATUS(context.journal.add(record));
    ZF_TRY_STATUS(set_owner(context, record, Ownership::incoming, record.epoch, peer));
    ZF_TRY([[maybe_unused]] const bool made, make_stagings(context, record));
    const bool fresh = !brings_no_bytes(record);
    return Reservation{std::move(record), fresh};
}

namespace {

// What a rollback with --discard takes: the tree that the first move left behind, with the manifest beside it.
Result<std::string> kept_manifest(AgentContext& context, const MoveRecord& record) {
    constexpr std::uint64_t kManifestBytesMax = 4U << 20U;
    ZF_TRY(const UniqueFd place, open_directory(context.root.at(record.zonepath)));
    if (!open_beneath(place.get(), "root", O_PATH | O_DIRECTORY)) {
        return Error(Errc::not_found, "the copy kept in " + record.zonepath + " has no directory 'root'");
    }
    ZF_TRY(const UniqueFd file, open_beneath(place.get(), "SUNWdetached.xml", O_RDONLY | O_NOFOLLOW));
    return read_to_end(file.get(), kManifestBytesMax);
}

Status write_into_staging(AgentContext& context, const MoveRecord& record, const std::string& manifest) {
    ZF_TRY(const UniqueFd staging, open_directory(staging_path(context.root, zonepath_tree(record), record.id)));
    if (!open_beneath(staging.get(), "root", O_PATH | O_DIRECTORY)) {
        return Error(Errc::invalid, "the received tree has no directory 'root'");
    }
    ZF_TRY_STATUS(replace_file_at(staging.get(), "SUNWdetached.xml", manifest, 0644));
    if (::fchmod(staging.get(), 0700) == 0 && ::syncfs(staging.get()) == 0) return {};
    return system_error("syncing staging", errno);
}

}  // namespace

Result<std::vector<Finding>> promise_move(AgentContext& context, const MoveRecord& record, const std::string& sent,
                                          const std::string& nonce) {
    std::string text = sent;
    if (record.uses_kept_copy) {
        ZF_TRY(text, kept_manifest(context, record));
    }
    if (record.phase == Phase::ready) {
        if (record.manifest == text) return std::vector<Finding>();
        return Error(Errc::conflict, "move " + record.id + " was promised here with another manifest");
    }
    ZF_TRY(const Manifest manifest, parse_manifest(text));
    if (manifest.config.name != record.zone || manifest.config.zonepath != record.zonepath) {
        return Error(Errc::protocol, "the manifest is not of the zone that was prepared");
    }
    if (!record.uses_kept_copy) ZF_TRY_STATUS(check_declared(manifest.config, record.shared, record.storage));
    // The zone is down meanwhile: only what the attach itself will ask. The host was judged when it was prepared; what
    // of it the zone may reach is judged again: this manifest need not be that one.
    ZF_TRY(std::vector<Finding> findings, check_packages(context, manifest, record.force));
    for (Finding& finding : judge_reach(manifest.config)) findings.push_back(std::move(finding));
    std::erase_if(findings, [](const Finding& finding) { return finding.severity != Severity::block; });
    if (!findings.empty()) return findings;
    if (manifest.update && !record.force && sends_zonepath(record)) {
        ZF_TRY(findings, update_staging(context, record, manifest));
        if (is_blocked(findings)) return findings;
    }
    if (sends_zonepath(record)) ZF_TRY_STATUS(write_into_staging(context, record, text));
    if (is_shared(record)) ZF_TRY_STATUS(verify_handover(context, record, nonce));
    ZF_TRY([[maybe_unused]] const MoveRecord after,
           context.journal.apply(record.id, MoveEvent{.kind = EventKind::ready, .text = text, .code = nonce}));
    ZF_TRY_STATUS(forget_updating(context, record));
    return std::vector<Finding>();
}

Result<MoveRecord> own_move(AgentContext& context, const MoveRecord& record, const Grant& grant) {
    if (grant.epoch != record.epoch + 1) {
        return Error(Errc::protocol, "the grant is for epoch " + std::to_string(grant.epoch) + ", this move is for " +
                                         std::to_string(record.epoch + 1));
    }
    const bool owned_already =
        record.phase == Phase::owned || record.phase == Phase::activated || record.phase == Phase::finalized;
    if (owned_already) return record;
    // Refused unless it is ready.
    return context.journal.apply(
        record.id,
        MoveEvent{.kind = EventKind::owned, .number = static_cast<std::int64_t>(grant.epoch), .flag = grant.boot});
}

namespace {

// May what lies at the tree's place be set aside? Only a rollback finds something there: the kept copy.
Status check_replaces(const MoveRecord& record, const MovedTree& tree) {
    if (!record.return_of.empty()) return {};
    return Error(Errc::conflict, tree.path +
                                     " has come to exist since this host promised to take the "
                                     "zone; nothing that exists is overwritten")
        .remedy("move it out of the way; the zone then starts by itself");
}

// An empty directory is what the administrator has made for it.
Result<bool> is_free(const std::string& place, const MovedTree& tree) {
    if (!path_exists(place)) return true;
    if (tree.is_zonepath()) return false;
    ZF_TRY(const std::vector<std::string> names, list_directory(place));
    return names.empty();
}

Status put_in_place(AgentContext& context, const MoveRecord& record, const MovedTree& tree) {
    const std::string staging = staging_path(context.root, tree, record.id);
    const std::string place = context.root.at(tree.path);
    if (!path_exists(staging)) return {};  // done before a restart
    ZF_TRY(const bool free, is_free(place, tree));
    if (!free) {
        ZF_TRY_STATUS(check_replaces(record, tree));
        const std::string kept = kept_path(context.root, tree, record.id);
        if (::rename(place.c_str(), kept.c_str()) != 0) return system_error("setting the older copy aside", errno);
    }
    // Takes the place of an empty directory, and of nothing else.
    const unsigned flags = path_exists(place) ? 0 : RENAME_NOREPLACE;
    if (::renameat2(AT_FDCWD, staging.c_str(), AT_FDCWD, place.c_str(), flags) != 0) {
        return system_error("putting the zone at " + tree.path, errno);
    }
    return sync_directory(place.substr(0, place.rfind('/')));
}

Status configure(AgentContext& context, const ZoneLock& lock, const MoveRecord& record) {
    ZF_TRY(const Manifest manifest, parse_manifest(record.manifest));
    ZoneStore store(context.root);
    const auto known = store.find(lock.name());
    if (!known) return store.create(lock, manifest.config);
    if (known->state == ZoneState::configured) return store.save_config(lock, manifest.config);
    return {};
}

Status attach_here(AgentContext& context, const ZoneLock& lock, const MoveRecord& record) {
    ZF_TRY_STATUS(configure(context, lock, record));
    ZF_TRY(ZoneEntry entry, ZoneStore(context.root).find(lock.name()));
    if (entry.state == ZoneState::incomplete) {  // a crash in the midst of attaching with update
        ZF_TRY([[maybe_unused]] const MendedTo mended, mend_update(context.root, lock));
        ZF_TRY(entry, ZoneStore(context.root).find(lock.name()));
    }
    if (entry.state == ZoneState::installed) return {};
    AttachOptions options;
    options.force = record.force;
    options.uuid = record.zone_uuid;
    options.host = context.settings.name;
    ZF_TRY(const Manifest manifest, parse_manifest(record.manifest));
    if (is_shared(record)) ZF_TRY_STATUS(write_manifest(context.root, record.zonepath, manifest));
    if (manifest.update && !record.force) {
        // Done on staging already: nothing is left to update, unless this host's packages have changed since.
        AttachUpdateOptions with_update;
        with_update.scope = manifest.update->scope;
        with_update.attach = options;
        ZF_TRY(const AttachUpdateOutcome updated, attach_with_update(context.root, lock, with_update));
        if (updated.attached) return {};
        return Error(Errc::blocked, "the zone cannot be updated to this host's packages any more");
    }
    ZF_TRY(const AttachOutcome outcome, attach_zone(context.root, lock, lock.name(), options));
    if (!outcome.attached) return Error(Errc::blocked, "the packages of this host do not fit the zone any more");
    return {};
}

}  // namespace

Result<Activated> activate_move(AgentContext& context, const MoveRecord& record) {
    Activated done;
    if (record.phase != Phase::owned) {
        done.attached = record.problem.empty();
        done.running = record.running;
        done.problem = record.problem;
        return done;
    }
    ZF_TRY(const ZoneName name, ZoneName::create(record.zone));
    ZF_TRY(const ZoneLock lock, ZoneStore(context.root).lock(name));
    const std::int64_t began_ms = context.clock.monotonic_ms();
    for (const MovedTree& tree : sent_trees(record)) ZF_TRY_STATUS(put_in_place(context, record, tree));
    if (is_shared(record)) ZF_TRY_STATUS(take_shared(context, record));
    ZF_TRY_STATUS(set_owner(context, record, Ownership::owned, holder_epoch(record), context.settings.name));
    Status attached = attach_here(context, lock, record);
    const std::int64_t attached_ms = context.clock.monotonic_ms();
    done.attached = attached.has_value();
    done.attach_ms = static_cast<std::uint32_t>(attached_ms - began_ms);
    if (!attached) done.problem = attached.error().text();
    if (attached && record.was_running) {
        Status booted = ensure_zone_runs(context, lock);
        done.running = booted.has_value();
        if (!booted) done.problem = std::move(booted).error().during("booting").text();
        done.boot_ms = static_cast<std::uint32_t>(context.clock.monotonic_ms() - attached_ms);
    }
    ZF_TRY([[maybe_unused]] const MoveRecord after,
           context.journal.apply(record.id, MoveEvent{.kind = EventKind::activated,
                                                      .text = done.problem,
                                                      .number = context.clock.unix_ms(),
                                                      .flag = done.running}));
    (void)remove_tree(move_directory(context.root, record.id));  // its digests; tried again at every start
    if (done.problem.empty()) mark_returned(context, record);
    return done;
}

Status probe_move(AgentContext& context, const MoveRecord& record) {
    context.board.publish(MoveNews{.type = MoveNews::Type::phase,
                                   .move_id = record.id,
                                   .zone = record.zone,
                                   .phase = std::string(phase_name(record.phase)),
                                   .message = "probing: " + printable(record.probe)});
    Status healthy = run_probe(context, record);
    if (context.stopping) return {};  // the janitor goes on with it after the next start
    MoveEvent event{.kind = EventKind::probed, .flag = healthy.has_value()};
    if (!healthy) event.text = "the probe " + printable(record.probe) + " failed: " + printable(healthy.error().text());
    ZF_TRY(const MoveRecord after, context.journal.apply(record.id, event));
    context.board.publish(end_news(after));
    return {};
}

void tell_activation_failed(AgentContext& context, const MoveRecord& record, const Error& error) {
    MoveNews news{.type = MoveNews::Type::note,
                  .move_id = record.id,
                  .zone = record.zone,
                  .phase = std::string(phase_name(record.phase)),
                  .message = "zone " + record.zone +
                             " belongs to this host but could not be put in place: " + error.text() + "; trying again",
                  .remedy = error.remedy_text()};
    const auto last = context.board.latest(record.id);
    if (last && last->message == news.message) return;
    spdlog::error("{}", news.message);
    context.board.publish(std::move(news));
}

Status forget_way_back(AgentContext& context, const MoveRecord& record) {
    for (const MovedTree& tree : own_trees(record)) {
        ZF_TRY_STATUS(remove_tree(kept_path(context.root, tree, record.id)));
    }
    if (record.phase != Phase::activated) return {};
    ZF_TRY([[maybe_unused]] const MoveRecord after,
           context.journal.apply(record.id, MoveEvent{.kind = EventKind::finalized}));
    return {};
}

Result<StatusReply> status_of_move(AgentContext& context, const std::string& move_id, const std::string& asking_host) {
    StatusReply reply;
    ZF_TRY(const std::optional<MoveRecord> found, context.journal.find(move_id));
    if (!found || found->peer != asking_host) return reply;
    const MoveRecord& record = *found;
    reply.known = true;
    reply.phase = phase_name(record.phase);
    reply.problem = record.problem;
    reply.epoch = record.epoch;
    const bool taken =
        record.phase == Phase::owned || record.phase == Phase::activated || record.phase == Phase::finalized;
    if (record.role != Role::target || !taken) return reply;
    reply.epoch = holder_epoch(record);
    reply.probed = static_cast<std::uint8_t>(record.probed);
    reply.owned = true;
    const auto name = ZoneName::create(record.zone);
    if (!name) return reply;
    const auto entry = ZoneStore(context.root).find(*name);
    reply.attached = record.phase != Phase::owned && entry && entry->state == ZoneState::installed;
    const auto status = Runtime(context.root).status(*name);
    reply.running = status && status->state == ZoneState::running;
    const auto last = context.board.latest(move_id);
    if (record.phase == Phase::owned && last && last->type == MoveNews::Type::note) reply.problem = last->message;
    return reply;
}

}  // namespace zoneferry
