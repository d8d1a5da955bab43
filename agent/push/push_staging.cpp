#include "agent/push/push_staging.h"

#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <utility>

#include "agent/move/target_move.h"
#include "core/base/digest.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "core/zone/store.h"

namespace zoneferry {
namespace {

constexpr std::size_t kAboutBytesMax = 4096;

std::string places_directory(const AgentContext& context) { return context.root.state_directory() + "/pushes-here"; }

// Why nothing can go on there, if the zone is to blame.
std::optional<std::string> zone_is_out(const AgentContext& context, const PushAbout& about,
                                       const std::string& staging) {
    const auto name = ZoneName::create(about.zone);
    if (!name) return "it names no zone";
    const ZoneStore store(context.root);
    const auto entry = store.find(*name);
    if (!entry && entry.error().code() == Errc::not_found) return "zone " + about.zone + " is not configured any more";
    if (!entry) return std::nullopt;
    if (entry->state != ZoneState::configured && !path_exists(staging + "/root"))
        return "zone " + about.zone + " is " + std::string(state_name(entry->state)) + ", and this holds nothing";
    if (entry->state != ZoneState::configured && entry->state != ZoneState::incomplete)
        return "zone " + about.zone + " is " + std::string(state_name(entry->state));
    const auto config = store.config(*name);
    if (config && push_staging_path(context.root, config->zonepath, push_staging_id(about.peer, about.zone)) != staging)
        return "zone " + about.zone + " has another zonepath now";
    return std::nullopt;
}

}  // namespace

std::string push_staging_id(const std::string& peer, const std::string& zone) {
    Sha256 hash;
    hash.update(std::to_string(peer.size()) + ":" + peer + zone);
    return to_hex(hash.finish()).substr(0, 20);
}

Status make_push_staging(const AgentContext& context, const PushAbout& about, const std::string& zonepath) {
    const std::string id = push_staging_id(about.peer, about.zone);
    const std::string staging = push_staging_path(context.root, zonepath, id);
    ZF_TRY_STATUS(remove_tree(staging));
    ZF_TRY_STATUS(make_directories(places_directory(context), 0700));
    ZF_TRY_STATUS(replace_file(places_directory(context) + "/" + id, zonepath + "\n", 0600));
    if (::mkdir(staging.c_str(), 0700) != 0) return system_error("make " + printable(staging), errno);
    ZF_TRY_STATUS(replace_file(staging + "/about",
                               "peer=" + about.peer + "\nzone=" + about.zone + "\npush=" + about.push_id + "\n", 0600));
    if (::mkdir((staging + "/root").c_str(), 0700) != 0) return system_error("make " + printable(staging), errno);
    return sync_directory(staging.substr(0, staging.rfind('/')));
}

Status remove_push_staging(const AgentContext& context, const std::string& staging) {
    ZF_TRY_STATUS(remove_tree(staging));
    return remove_file(places_directory(context) + "/" + staging.substr(staging.rfind('-') + 1));
}

std::vector<std::string> push_zonepaths(const AgentContext& context) {
    std::vector<std::string> zonepaths;
    const auto ids = list_directory(places_directory(context));
    for (const std::string& id : ids ? *ids : std::vector<std::string>()) {
        const auto zonepath = read_file(places_directory(context) + "/" + id, kAboutBytesMax);
        if (zonepath) zonepaths.emplace_back(trim(*zonepath));
    }
    return zonepaths;
}

Result<PushAbout> read_push_about(const std::string& staging) {
    ZF_TRY(const std::string text, read_file(staging + "/about", kAboutBytesMax));
    std::map<std::string, std::string, std::less<>> values;
    for (const std::string_view line : split(text, '\n')) {
        const std::size_t equals = line.find('=');
        if (equals != std::string_view::npos) values.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    PushAbout about{values["peer"], values["zone"], values["push"]};
    if (about.peer.empty() || about.zone.empty() || !is_move_id(about.push_id))
        return Error(Errc::corrupt, printable(staging) + "/about does not say whose push this is");
    return about;
}

PushVerdict judge_push(const AgentContext& context, const std::string& staging) {
    const auto about = read_push_about(staging);
    if (!about && !path_exists(staging + "/root")) return {true, "it holds nothing"};
    if (!about) return {false, about.error().text() + ": look at it before you remove it yourself"};
    if (auto why = zone_is_out(context, *about, staging)) return {true, *std::move(why)};
    const auto peer = context.trust.peer(about->peer);
    if (!peer && peer.error().code() == Errc::untrusted) return {true, about->peer + " is not trusted any more"};
    if (peer && !peer->may_send) return {true, about->peer + " may not send zones here any more"};
    return {false, about->peer + " can go on with its push into zone " + about->zone +
                       "; to give it up, there: zoneferry p2v push --forget " + context.settings.name + ":" +
                       about->zone};
}

Status remove_dead_push(const AgentContext& context, const std::string& staging) {
    std::optional<ZoneLock> lock;
    if (const auto about = read_push_about(staging)) {
        if (const auto name = ZoneName::create(about->zone)) {
            ZF_TRY(lock, ZoneStore(context.root).lock(*name));
        }
    }
    const PushVerdict verdict = judge_push(context, staging);
    if (!verdict.is_dead) return Error(Errc::conflict, verdict.why);
    return remove_push_staging(context, staging);
}

}  // namespace zoneferry
