#include "agent/programs/zoneadm_verbs.h"

#include <unistd.h>

#include <cstdio>

#include "agent/programs/zoneadm_install_words.h"
#include "agent/settings.h"

namespace zoneferry {

Result<std::string> VerbContext::host() const {
    ZF_TRY(const Settings settings, load_settings(root));
    return settings.name;
}

const std::vector<Verb>& zoneadm_verbs() {
    static const std::vector<Verb> kVerbs{
        {"list", "list [-c|-i] [-p] [-v] [--format json]", false, run_list},
        {"boot", "boot", true, run_boot},
        {"halt", "halt", true, run_halt},
        {"shutdown", "shutdown", true, run_shutdown},
        {"reboot", "reboot", true, run_reboot},
        {"verify", "verify", true, run_verify},
        {"install", kInstallUsage, true, run_install},
        {"uninstall", "uninstall [-F]", true, run_uninstall},
        {"login", "login [COMMAND...]", true, run_login},
        {"mark", "mark incomplete", true, run_mark},
        {"detach", "detach [-n]", true, run_detach},
        {"attach", "attach [-F | -u | -U] | attach -n -u|-U | attach --undo | attach -n MANIFEST|-", false, run_attach},
        {"clone", "clone [-m copy] SOURCE_ZONE", true, run_clone},
        {"move", "move NEW_ZONEPATH", true, run_move},
    };
    return kVerbs;
}

int report_error(const Error& error) {
    std::fprintf(stderr, "zoneadm: %s\n", error.text().c_str());
    if (!error.remedy_text().empty()) std::fprintf(stderr, "  try: %s\n", error.remedy_text().c_str());
    return error.code() == Errc::usage ? 2 : 1;
}

int report_usage(const char* text) {
    std::fprintf(stderr, "usage: zoneadm [--root DIR] [-z ZONE] %s\n", text);
    return 2;
}

std::optional<bool> ask(const std::string& question) {
    if (::isatty(STDIN_FILENO) != 1) return std::nullopt;
    std::fprintf(stderr, "%s (y/[n])? ", question.c_str());
    std::string answer;
    for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) answer += static_cast<char>(c);
    return answer == "y" || answer == "Y" || answer == "yes";
}

Result<HeldZone> hold_zone(VerbContext& context) {
    ZF_TRY(const ZoneEntry known, context.store.find(*context.zone));
    ZF_TRY(ZoneLock lock, context.store.lock(*context.zone));
    // Read again: only under the lock it stays as it is.
    ZF_TRY(ZoneEntry entry, context.store.find(known.name));
    ZF_TRY(ZoneConfig config, context.store.config(known.name));
    return HeldZone{std::move(lock), std::move(entry), std::move(config)};
}

}  // namespace zoneferry
