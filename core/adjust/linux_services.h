// Services of a Linux image that cannot work in a zone, turned off for systemd, System V init and OpenRC alike:
//
//   systemd    /etc/systemd/system/UNIT -> /dev/null ("masked"); undone by `systemctl unmask UNIT`
//   System V   /etc/rc?.d/S01NAME -> K01NAME, as update-rc.d does it
//   OpenRC     /etc/runlevels/LEVEL/NAME put aside
//
// Only what the image has is touched. The console of a zone is kept (console-getty); a getty elsewhere has no terminal.
#pragma once

#include <span>

#include "core/adjust/image_editor.h"

namespace zoneferry {

struct ServiceRule {
    const char* pattern;  // fnmatch(3), over unit names ("getty@.service") and "NAME.service" for scripts
    const char* why;      // "the host's kernel is not the zone's to set up"
};

Status turn_off_services(ImageEditor& image, AdjustmentKind kind, std::span<const ServiceRule> rules);

// What no zone can use: terminals, devices, kernel, boot loader, clock.
Status adjust_linux_services(ImageEditor& image);

// inittab without gettys but for one on the console. Pure; for System V init.
std::string inittab_for_zone(std::string_view text, std::string_view date);

}  // namespace zoneferry
