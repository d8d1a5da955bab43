// zoneadm: runs and lists the zones of this host. It works with no agent running.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/programs/zoneadm_verbs.h"

namespace zoneferry {
namespace {

int usage(std::FILE* to = stderr, int exit_status = 2) {
    std::fputs("usage: zoneadm [--root DIR] [-z ZONE] VERB\n", to);
    for (const Verb& verb : zoneadm_verbs())
        std::fprintf(to, "  %s%s\n", verb.needs_zone ? "-z ZONE " : "", verb.usage);
    return exit_status;
}

int run(const std::vector<std::string>& words) {
    const char* environment = std::getenv("ZONEFERRY_ROOT");
    std::string root = environment == nullptr ? "" : environment;
    std::string zone;
    std::size_t at = 0;
    for (; at < words.size() && words[at].starts_with('-'); ++at) {
        if (words[at] == "--help" || words[at] == "-h") return usage(stdout, 0);
        if (words[at].starts_with("--root=")) {
            root = words[at].substr(7);
        } else if (words[at] == "--root" && at + 1 < words.size()) {
            root = words[++at];
        } else if (words[at] == "-z" && at + 1 < words.size()) {
            zone = words[++at];
        } else {
            return usage();
        }
    }
    if (at == words.size()) return usage();
    const HostRoot host(root);
    VerbContext context{host, ZoneStore(host), Runtime(host), std::nullopt, {}};
    context.arguments.assign(words.begin() + static_cast<std::ptrdiff_t>(at) + 1, words.end());
    if (!zone.empty()) {
        auto name = ZoneName::create(zone);
        if (!name) return report_error(name.error());
        context.zone = *std::move(name);
    }
    for (const Verb& verb : zoneadm_verbs()) {
        if (words[at] != verb.name) continue;
        if (verb.needs_zone && !context.zone) return report_usage((std::string("-z ZONE ") + verb.usage).c_str());
        return verb.run(context);
    }
    std::fprintf(stderr, "zoneadm: there is no verb '%s'\n", words[at].c_str());
    return usage();
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) { return zoneferry::run(std::vector<std::string>(argv + 1, argv + argc)); }
