// The verbs that give a zone up and take one: detach, attach. The dry runs make a pipe between two hosts:
//
//     zoneadm -z web01 detach -n | ssh host2 zoneadm attach -n -
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "agent/finding_json.h"
#include "agent/programs/zoneadm_takeover.h"
#include "agent/programs/zoneadm_update.h"
#include "agent/programs/zoneadm_verbs.h"
#include "core/attach/attach.h"
#include "core/attach/detach.h"
#include "core/attach/host_check.h"
#include "core/base/text.h"
#include "core/zone/claim.h"
#include "core/zone/owner_record.h"

namespace zoneferry {
namespace {

constexpr const char* kAttachUsage =
    "attach [-F | -u | -U] [--no-undo] [--format json] | attach -F --takeover [--yes --peer-is-fenced] | "
    "attach -n -u|-U | attach --undo | attach -n MANIFEST|-";

// With --format json the result goes to stdout, one object a line, as from zoneferry.
void print(const Json& json) { std::puts(json_line(json).c_str()); }

void tell(const char* what, const std::string& text) { std::fprintf(stderr, "zoneadm: %s%s\n", what, text.c_str()); }

// Works on a running zone, takes no lock and changes nothing.
int show_manifest(VerbContext& context) {
    const auto config = context.store.config(*context.zone);
    if (!config) return report_error(config.error());
    const auto manifest = make_manifest(context.root, *config);
    if (!manifest) return report_error(manifest.error());
    for (const std::string& warning : manifest->inventory.warnings) tell("warning: ", warning);
    const Status written = write_all(STDOUT_FILENO, as_bytes(manifest_text(*manifest)));
    return written ? 0 : report_error(written.error());
}

Result<Manifest> manifest_from(const std::string& path) {
    UniqueFd file;
    if (path != "-") {
        ZF_TRY(file, open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
        ZF_TRY(const struct stat info, stat_fd(file.get()));
        if (!S_ISREG(info.st_mode)) return Error(Errc::invalid, printable(path) + " is not a regular file");
    }
    const std::string shown = path == "-" ? "the standard input" : printable(path);
    auto text = read_to_end(file ? file.get() : STDIN_FILENO, kManifestBytesMax);
    if (!text) return std::move(text).error().during("reading " + shown);
    if (!text->starts_with("<?xml")) {
        return Error(Errc::invalid, shown + " holds no manifest").remedy("write one with: zoneadm -z ZONE detach -n");
    }
    auto manifest = parse_manifest(*text, shown);
    return manifest;
}

int check_manifest(VerbContext& context, const std::string& path, bool as_json) {
    const auto manifest = manifest_from(path);
    if (!manifest) return report_error(manifest.error());
    const auto check = check_attach(context.root, *manifest);
    if (!check) return report_error(check.error());
    const bool blocked = is_blocked(check->findings);
    if (as_json) {
        for (const Finding& finding : check->findings) print(finding_json(finding));
        print(end_json(blocked ? 1 : 0, blocked ? "the zone does not fit this host" : "the zone fits this host"));
        return blocked ? 1 : 0;
    }
    for (const Finding& finding : check->findings) {
        const bool is_listed = finding.code.starts_with("PKG_") || finding.code.starts_with("PATCH_");
        if (!is_listed) tell(finding.severity == Severity::block ? "" : "note: ", finding.message);
    }
    std::fputs(differences_text(check->differences).c_str(), stderr);
    return blocked ? 1 : 0;
}

struct AttachArguments {
    bool force = false;
    bool dry_run = false;
    bool mend = false;
    TakeoverArguments takeover;
    UpdateArguments update{UpdateScope::none};
    std::string manifest;  // of -n
};

bool is_sound(const AttachArguments& arguments) {
    const bool updates = arguments.update.scope != UpdateScope::none;
    const bool takes_over = arguments.takeover.wanted;
    if ((arguments.takeover.yes || arguments.takeover.fenced) && !takes_over) return false;
    if (takes_over && (!arguments.force || arguments.takeover.yes != arguments.takeover.fenced)) return false;
    if (arguments.mend) return !updates && !arguments.force && !arguments.dry_run && arguments.update.undo;
    if (updates) return !arguments.force && arguments.manifest.empty();
    return arguments.update.undo && arguments.dry_run == !arguments.manifest.empty() &&
           !(arguments.force && arguments.dry_run);
}

std::optional<AttachArguments> parse_attach(const std::vector<std::string>& words) {
    AttachArguments arguments;
    const auto takes_manifest = [&](std::size_t i) {
        return i + 1 < words.size() && (words[i + 1] == "-" || !words[i + 1].starts_with('-'));
    };
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "-F") {
            arguments.force = true;
        } else if (words[i] == "-u" || words[i] == "-U") {
            if (arguments.update.scope != UpdateScope::none) return std::nullopt;
            arguments.update.scope = words[i] == "-u" ? UpdateScope::dependent : UpdateScope::everything;
        } else if (words[i] == "--takeover") {
            arguments.takeover.wanted = true;
        } else if (words[i] == "--yes") {
            arguments.takeover.yes = true;
        } else if (words[i] == "--peer-is-fenced") {
            arguments.takeover.fenced = true;
        } else if (words[i] == "--undo") {
            arguments.mend = true;
        } else if (words[i] == "--no-undo") {
            arguments.update.undo = false;
        } else if (words[i] == "--format" && i + 1 < words.size() && words[i + 1] == "json") {
            arguments.update.as_json = true;
            ++i;
        } else if (words[i] == "-n") {
            arguments.dry_run = true;
            if (takes_manifest(i)) arguments.manifest = words[++i];
        } else {
            return std::nullopt;
        }
    }
    if (!is_sound(arguments)) return std::nullopt;
    return arguments;
}

int attach_held(VerbContext& context, const HeldZone& held, const AttachOptions& options, bool as_json) {
    const auto outcome = attach_zone(context.root, held.lock, held.entry.name, options);
    if (!outcome) return report_error(outcome.error());
    for (const std::string& note : outcome->notes) tell("note: ", note);
    const std::string name = held.entry.name.str();
    if (outcome->attached) {
        if (as_json) print(end_json(0, "zone " + name + " is attached"));
        return 0;
    }
    const Error error =
        Error(Errc::blocked,
              "zone " + name + " was not attached: its packages are inconsistent with this host; nothing was changed")
            .remedy("update the zone as it is attached (attach -u); or attach without validation (attach -F)");
    if (as_json) {
        for (const Finding& finding : outcome->findings) print(finding_json(finding));
        print(end_json(1, error.text(), error.remedy_text()));
        return 1;
    }
    std::fputs(differences_text(outcome->differences).c_str(), stderr);
    return report_error(error);
}

}  // namespace

namespace {

// A parked zone on shared storage: only this host forgets it; the tree, and what lies beside it, is the holder's.
Result<bool> forget_parked(VerbContext& context, const HeldZone& held) {
    OwnerStore owners(context.root);
    ZF_TRY(const std::optional<OwnerRecord> ours, owners.load(held.entry.name, ""));
    if (!ours || ours->storage.empty() || ours->state != Ownership::parked) return false;
    ZF_TRY_STATUS(context.store.change_state(held.lock, ZoneState::installed, ZoneState::configured));
    ZF_TRY_STATUS(owners.remove(held.entry.name, ""));
    return true;
}

// The record is given up first: a crash between the two leaves a zone that this host does not boot, and may detach
// again.
Status detach_held(VerbContext& context, const HeldZone& held, ZoneState state) {
    if (state == ZoneState::installed && held.entry.state == ZoneState::installed) {
        ZF_TRY(const bool is_forgotten, forget_parked(context, held));
        if (is_forgotten) return {};
        ZF_TRY([[maybe_unused]] const bool is_new, bring_lun(context.root, held.entry.name, LunUse::boot));
        ZF_TRY(const std::string host, context.host());
        ZF_TRY_STATUS(give_up_by_hand(context.root, held.lock, held.entry, host));
    }
    ZF_TRY_STATUS(detach_zone(context.root, held.lock, held.entry.name, state));
    return put_lun_away(context.root, held.config);
}

}  // namespace

int run_detach(VerbContext& context) {
    if (context.arguments == std::vector<std::string>{"-n"}) return show_manifest(context);
    if (!context.arguments.empty()) return report_usage("detach [-n]");
    const auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    const auto now = context.runtime.status(held->entry.name);
    if (!now) return report_error(now.error());
    const ZoneState state = now->supervised && now->state == ZoneState::installed ? ZoneState::down : now->state;
    if (const Status detached = detach_held(context, *held, state); !detached) return report_error(detached.error());
    return 0;
}

namespace {

int attach_as_asked(VerbContext& context, const HeldZone& held, const AttachArguments& arguments) {
    // Also with -F: it is the packages that it leaves out, not what the zone needs to run at all.
    if (held.entry.state == ZoneState::configured) {
        if (const Status fits = require_host(context.root, held.config); !fits) return report_error(fits.error());
    }
    if (arguments.update.scope != UpdateScope::none) return update_held(context, held, arguments.update);
    AttachOptions options;
    const auto host = context.host();
    if (!host) return report_error(host.error());
    options.host = *host;
    options.force = arguments.force;
    return attach_held(context, held, options, arguments.update.as_json);
}

}  // namespace

int run_attach(VerbContext& context) {
    const auto arguments = parse_attach(context.arguments);
    if (!arguments) return report_usage(kAttachUsage);
    if (!arguments->manifest.empty()) return check_manifest(context, arguments->manifest, arguments->update.as_json);
    if (!context.zone) return report_usage((std::string("-z ZONE ") + kAttachUsage).c_str());
    const bool updates = arguments->update.scope != UpdateScope::none;
    if (updates && arguments->dry_run) return show_update(context, arguments->update);
    if (arguments->takeover.wanted) {
        if (const Status taken = take_over(context, arguments->takeover); !taken) return report_error(taken.error());
    }
    const auto held = hold_zone(context);
    if (!held) return report_error(held.error());
    if (arguments->mend) return mend_held(context, *held, arguments->update.as_json);
    if (const Status sound = verify_config(held->config); !sound) return report_error(sound.error());
    bool is_mounted_for_it = false;
    if (held->entry.state == ZoneState::configured) {
        const auto lun = bring_lun(context.root, held->entry.name, LunUse::attach);
        if (!lun) return report_error(lun.error());
        is_mounted_for_it = *lun;
    }
    const int done = attach_as_asked(context, *held, *arguments);
    // Not this host's after all: the next host that attaches it must be able to mount it.
    if (done != 0 && is_mounted_for_it) {
        if (const Status away = put_lun_away(context.root, held->config); !away) tell("note: ", away.error().text());
    }
    return done;
}

}  // namespace zoneferry
