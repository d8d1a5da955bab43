#include "agent/push/push_target.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <utility>

#include "agent/move/target_move.h"
#include "agent/push/push_staging.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/empty_zonepath.h"
#include "core/p2v/image_cost.h"
#include "core/p2v/p2v_install.h"
#include "core/update/crash_step.h"

namespace zoneferry {
namespace {

Status check_zone(const ZoneEntry& entry, const ZoneConfig& config) {
    const std::string& name = config.name;
    if (entry.state == ZoneState::incomplete) {
        return Error(Errc::conflict, "zone " + name + " is incomplete here: an install of it broke off")
            .remedy("there: zoneadm -z " + name + " uninstall; then push again");
    }
    if (entry.state != ZoneState::configured) {
        return Error(Errc::conflict, "zone " + name + " is " + std::string(state_name(entry.state)) +
                                         " here: only a configured zone can be installed")
            .remedy("configure another zone there: zonecfg -z NEW_ZONE");
    }
    if (config.inherited_directories.empty()) return {};
    return Error(Errc::unsupported, "zone " + name + " inherits " + printable(config.inherited_directories.front()) +
                                        "; an image can only fill a whole-root zone")
        .remedy("remove its inherit-pkg-dir resources there: zonecfg -z " + name);
}

// What a push may announce: no pass may bring much more than that (target_session).
Status check_announced(int zonepath, const PushRequest& request) {
    struct statvfs space {};
    if (::fstatvfs(zonepath, &space) != 0) return system_error("measure the zonepath's file system", errno);
    if (request.tree_bytes <= std::uint64_t{space.f_blocks} * space.f_frsize) return {};
    return Error(Errc::no_space, "the zonepath's file system is smaller than the " + format_bytes(request.tree_bytes) +
                                     " that shall be pushed");
}

}  // namespace

Result<PushTarget> PushTarget::open(AgentContext& context, const PushRequest& request, const std::string& peer) {
    if (!is_move_id(request.push_id)) return Error(Errc::protocol, "a push's id has hexadecimal digits only");
    ZF_TRY(const ZoneName name, ZoneName::create(request.zone));
    ZoneStore store(context.root);
    if (const auto known = store.find(name); !known) {
        return Error(Errc::not_found, "there is no zone " + name.str() + " on " + context.settings.name)
            .remedy("configure it there first: zonecfg -z " + name.str() +
                    "; zoneferry p2v scan prints a template for it");
    }
    ZF_TRY(ZoneLock lock, store.lock(name));
    PushTarget push(context, std::move(lock));
    ZF_TRY(const ZoneEntry entry, store.find(name));
    ZF_TRY(push.config_, store.config(name));
    ZF_TRY_STATUS(check_zone(entry, push.config_));
    push.id_ = request.push_id;
    push.tree_bytes_ = request.tree_bytes;
    push.tree_entries_ = request.tree_entries;
    push.staging_ = push_staging_path(context.root, push.config_.zonepath, push_staging_id(peer, push.config_.name));
    const auto about = read_push_about(push.staging_);
    if (about && path_exists(push.staging_ + "/placed")) ZF_TRY_STATUS(push.put_back());
    ZF_TRY(const UniqueFd zonepath, make_empty_zonepath(context.root, push.config_.zonepath, name));
    ZF_TRY_STATUS(check_announced(zonepath.get(), request));
    push.is_fresh_ = !about || about->push_id != push.id_ || !path_exists(push.staging_ + "/root");
    if (!push.is_fresh_) return push;
    ZF_TRY_STATUS(check_room(zonepath.get(), {request.tree_bytes, request.tree_entries}));
    ZF_TRY_STATUS(make_push_staging(context, {peer, push.config_.name, push.id_}, push.config_.zonepath));
    return push;
}

Result<UniqueFd> PushTarget::staging_root() const { return open_directory(staging_ + "/root"); }
std::string PushTarget::digests() const { return staging_ + "/digests"; }

// An agent that is killed from here on finds the mark, and puts the image back for the next try.
Status PushTarget::put_in_place() const {
    ZF_TRY_STATUS(replace_file(staging_ + "/placed", "", 0600));
    const std::string root = context_->root.at(config_.zonepath) + "/root";
    if (::renameat2(AT_FDCWD, (staging_ + "/root").c_str(), AT_FDCWD, root.c_str(), RENAME_NOREPLACE) != 0)
        return system_error("putting the image at " + config_.zonepath, errno);
    crash_at_step("push", "placed");
    return {};
}

Status PushTarget::put_back() const {
    const std::string root = context_->root.at(config_.zonepath) + "/root";
    const int renamed = ::renameat2(AT_FDCWD, root.c_str(), AT_FDCWD, (staging_ + "/root").c_str(), RENAME_NOREPLACE);
    if (renamed != 0 && errno != ENOENT && errno != EEXIST)
        return system_error("taking the image back from " + config_.zonepath, errno);
    return remove_file(staging_ + "/placed");
}

Status PushTarget::give_up() { return remove_push_staging(*context_, staging_); }

PushInstalled PushTarget::install(const PushInstall& request) {
    PushInstalled reply;
    if (Status placed = put_in_place(); !placed) {
        reply.problem = placed.error().text();
        return reply;
    }
    P2vOptions options;
    options.choices.unconfigure = request.unconfigure;
    options.choices.delete_containers = request.delete_containers;
    options.at_step = [](const std::string& step) { crash_at_step("push", step); };
    P2vOutcome outcome = install_image(context_->root, lock_, ImageInPlace{}, options);
    reply.installed = outcome.end == P2vEnd::installed;
    reply.findings = std::move(outcome.findings);
    reply.warnings = std::move(outcome.report.warnings);
    reply.files = outcome.report.files;
    reply.packages_updated = static_cast<std::uint32_t>(outcome.packages_updated);
    reply.adjustments = static_cast<std::uint32_t>(outcome.changes.size());
    reply.log = outcome.log;
    if (outcome.error) {
        reply.problem = outcome.error->text();
        reply.remedy = outcome.error->remedy_text();
    }
    if (outcome.end == P2vEnd::refused) {
        (void)put_back();  // else the next push does it
        return reply;
    }
    if (outcome.end == P2vEnd::undone) {
        if (auto zonepath = open_directory(context_->root.at(config_.zonepath)))
            (void)remove_tree_at(zonepath->get(), "root");
    }
    (void)remove_push_staging(*context_, staging_);
    return reply;
}

}  // namespace zoneferry
