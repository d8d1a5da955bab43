// zoneadmd: supervises one running zone. Started by zoneadm and zoneferryd, not by people.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "core/zone/zoneadmd.h"

namespace {

int usage() {
    std::fputs("usage: zoneadmd [--root DIR] -z ZONE [--unit]\n", stderr);
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    std::string root;
    std::string zone;
    bool in_unit = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--unit") {
            in_unit = true;
        } else if (word == "--root" && i + 1 < argc) {
            root = argv[++i];
        } else if (word == "-z" && i + 1 < argc) {
            zone = argv[++i];
        } else {
            return usage();
        }
    }
    const auto name = zoneferry::ZoneName::create(zone);
    if (!name) return usage();
    ::close_range(3, ~0U, 0);
    if (::chdir("/") != 0) return 1;
    if (!in_unit) {
        // The starter waits for the first process only; the second is nobody's child.
        const pid_t child = ::fork();
        if (child < 0) return 1;
        if (child > 0) ::_exit(0);
        ::setsid();
    }
    return zoneferry::supervise_zone(zoneferry::HostRoot(root), *name, in_unit);
}
