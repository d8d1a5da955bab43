// The verbs of zoneadm. A new verb is a function in a file of its own and one line in the table of zoneadm_verbs.cpp.
//
// stdout carries the result, stderr the talk. Exit status: 0 done, 1 failed, 2 usage.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/zone/runtime.h"
#include "core/zone/store.h"

namespace zoneferry {

struct VerbContext {
    HostRoot root;
    ZoneStore store;
    Runtime runtime;
    std::optional<ZoneName> zone;
    std::vector<std::string> arguments;  // after the verb

    // As owner records know this host: `name` of agent.toml, else the host name.
    Result<std::string> host() const;
};

struct Verb {
    const char* name;
    const char* usage;
    bool needs_zone;
    int (*run)(VerbContext&);
};

const std::vector<Verb>& zoneadm_verbs();

// Tells an Error on stderr and returns its exit status.
int report_error(const Error& error);
int report_usage(const char* text);
// Asks a question with answer y or n. nullopt: the standard input is no terminal, nobody can be asked.
std::optional<bool> ask(const std::string& question);
// A zone and what holds it, for verbs that change it.
struct HeldZone {
    ZoneLock lock;
    ZoneEntry entry;
    ZoneConfig config;
};
Result<HeldZone> hold_zone(VerbContext& context);

int run_list(VerbContext& context);
int run_boot(VerbContext& context);
int run_halt(VerbContext& context);
int run_shutdown(VerbContext& context);
int run_reboot(VerbContext& context);
int run_verify(VerbContext& context);
int run_install(VerbContext& context);
int run_uninstall(VerbContext& context);
int run_login(VerbContext& context);
int run_mark(VerbContext& context);
int run_detach(VerbContext& context);
int run_attach(VerbContext& context);
int run_clone(VerbContext& context);
int run_move(VerbContext& context);

}  // namespace zoneferry
