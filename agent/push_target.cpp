#include "agent/push_target.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "agent/target_move.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/image/empty_zonepath.h"
#include "core/p2v/image_cost.h"
#include "core/p2v/p2v_install.h"

namespace zoneferry {
namespace {

Status check_zone(const ZoneEntry& entry, const ZoneConfig& config) {
    const std::string& name = config.name;
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

std::string staging_name(const std::string& peer, const std::string& push_id) {
    Sha256 hash;
    hash.update(std::to_string(peer.size()) + ":" + peer + push_id);
    return ".zoneferry-push-" + to_hex(hash.finish()).substr(0, 20);
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
    ZF_TRY(const UniqueFd zonepath, make_empty_zonepath(context.root, push.config_.zonepath, name));
    const std::string& path = push.config_.zonepath;
    push.id_ = request.push_id;
    push.staging_ = context.root.at(path.substr(0, path.rfind('/') + 1) + staging_name(peer, request.push_id));
    push.is_fresh_ = !path_exists(push.staging_ + "/root");
    push.tree_bytes_ = request.tree_bytes;
    push.tree_entries_ = request.tree_entries;
    if (push.is_fresh_) {
        ZF_TRY_STATUS(check_room(zonepath.get(), {request.tree_bytes, request.tree_entries}));
        ZF_TRY_STATUS(remove_tree(push.staging_));
        for (const std::string& made : {push.staging_, push.staging_ + "/root"}) {
            if (::mkdir(made.c_str(), 0700) != 0) return system_error("make " + printable(made), errno);
        }
    }
    return push;
}

Result<UniqueFd> PushTarget::staging_root() const { return open_directory(staging_ + "/root"); }

Status PushTarget::put_in_place() const {
    const std::string root = context_->root.at(config_.zonepath) + "/root";
    if (::renameat2(AT_FDCWD, (staging_ + "/root").c_str(), AT_FDCWD, root.c_str(), RENAME_NOREPLACE) != 0)
        return system_error("putting the image at " + config_.zonepath, errno);
    return {};
}

void PushTarget::put_back() const {
    const std::string root = context_->root.at(config_.zonepath) + "/root";
    (void)::renameat2(AT_FDCWD, root.c_str(), AT_FDCWD, (staging_ + "/root").c_str(), RENAME_NOREPLACE);
}

PushInstalled PushTarget::install(const PushInstall& request) {
    PushInstalled reply;
    if (Status placed = put_in_place(); !placed) {
        reply.problem = placed.error().text();
        return reply;
    }
    P2vOptions options;
    options.choices.unconfigure = request.unconfigure;
    options.choices.delete_containers = request.delete_containers;
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
        put_back();
        return reply;
    }
    if (outcome.end == P2vEnd::undone) {
        if (auto zonepath = open_directory(context_->root.at(config_.zonepath)))
            (void)remove_tree_at(zonepath->get(), "root");
    }
    (void)remove_tree(staging_);
    return reply;
}

}  // namespace zoneferry
