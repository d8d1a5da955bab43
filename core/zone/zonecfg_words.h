// The words of zonecfg: its commands, what `help` says about them, and what may be typed next (completion). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/zone/resources.h"

namespace zoneferry {

struct ConfigCommand {
    const char* name;
    const char* usage;
    const char* what;  // one sentence
    bool in_global;    // allowed while no resource is open
    bool in_resource;  // allowed inside a resource
};
const std::vector<ConfigCommand>& config_commands();

// What `help` prints: all commands, or one. Errc::usage if there is no such command.
Result<std::string> help_text(std::string_view command = "");

// Every word that may stand at the end of line, instead of the word begun there (the part after the last blank or ';').
// open_type: the type of the open resource, empty: none. resources: those of the configuration, for select and remove.
// A word that ends in '=' wants a value at once. Sorted, each once.
std::vector<std::string> complete_command(std::string_view line, std::string_view open_type,
                                          const std::vector<Resource>& resources);

}  // namespace zoneferry
