#include "core/zone/zonecfg_words.h"

#include <algorithm>

#include "core/base/text.h"

namespace zoneferry {
namespace {

using Candidates = std::vector<std::string>;

void add_types(Candidates& out) {
    for (const ResourceType& type : resource_types()) out.emplace_back(type.name);
}

void add_globals(Candidates& out, const char* end) {
    for (const auto& [name, value] : global_properties(ZoneConfig())) out.push_back(name + end);
}

void add_properties(std::string_view type, const char* end, Candidates& out) {
    const ResourceType* known = resource_type(type);
    if (known == nullptr) return;
    for (const char* property : known->properties) out.push_back(std::string(property) + end);
}

void add_commands(bool in_resource, Candidates& out) {
    for (const ConfigCommand& command : config_commands()) {
        if (in_resource ? command.in_resource : command.in_global) out.emplace_back(command.name);
    }
}

// The values that a property can have, if they are few: "autoboot=true".
void add_values(std::string_view open_type, Candidates& out) {
    if (open_type.empty()) {
        for (const char* each : {"autoboot=true", "autoboot=false", "ip-type=shared", "ip-type=exclusive",
                                 "brand=native", "brand=cluster"})
            out.emplace_back(each);
    } else if (open_type == "fs") {
        for (const char* each : {"type=lofs", "type=tmpfs"}) out.emplace_back(each);
    } else if (open_type == "storage") {
        for (const char* each : {"type=ext4", "type=xfs"}) out.emplace_back(each);
    } else if (open_type == "attr") {
        for (const char* each : {"type=boolean", "type=int", "type=string", "type=uint"}) out.emplace_back(each);
    }
}

// For select and remove: what the configuration holds of this type.
void add_present(std::string_view type, const std::vector<Resource>& resources, Candidates& out) {
    add_properties(type, "=", out);
    for (const Resource& resource : resources) {
        if (resource.type != type) continue;
        for (const auto& [name, value] : resource.properties) out.push_back(name + "=" + value);
    }
}

void add_arguments(const std::vector<std::string_view>& before, std::string_view open_type,
                   const std::vector<Resource>& resources, Candidates& out) {
    const std::string_view verb = before.front();
    const bool first = before.size() == 1;
    if (verb == "help") return add_commands(!open_type.empty(), out);
    if (!open_type.empty()) {
        const char* repeated = resource_type(open_type)->repeated;
        if (verb == "set") {
            add_properties(open_type, "=", out);
            add_values(open_type, out);
        } else if (verb == "clear") {
            add_properties(open_type, "", out);
        } else if ((verb == "add" || verb == "remove") && first && repeated != nullptr) {
            out.emplace_back(repeated);
        }
        return;
    }
    if (verb == "set" && first) {
        add_globals(out, "=");
        add_values("", out);
    } else if (verb == "clear" && first) {
        add_globals(out, "");
    } else if (verb == "add" && first) {
        add_types(out);
    } else if (verb == "info" && first) {
        add_types(out);
        add_globals(out, "");
    } else if (verb == "select" || verb == "remove") {
        const bool forced = verb == "remove" && !first && before[1] == "-F";
        if (first || (forced && before.size() == 2))
            add_types(out);
        else
            add_present(before[forced ? 2 : 1], resources, out);
        if (first && verb == "remove") out.emplace_back("-F");
    } else if (verb == "create") {
        for (const char* option : {"-F", "-a", "-b", "-t"}) out.emplace_back(option);
    } else if ((verb == "delete" || verb == "revert" || verb == "exit") && first) {
        out.emplace_back("-F");
    } else if (verb == "export" && first) {
        out.emplace_back("-f");
    }
}

}  // namespace

const std::vector<ConfigCommand>& config_commands() {
    static const std::vector<ConfigCommand> kCommands{
        {"create", "create [-F] [-b | -t TEMPLATE | -a PATH]",
         "begins a configuration: sparse (/usr inherited), -b blank, -t as another zone or template, -a as the zone "
         "that "
         "was detached into PATH; -F overwrites an existing one",
         true, false},
        {"set", "set PROPERTY=VALUE", "sets a property of the zone or of the open resource", true, true},
        {"clear", "clear PROPERTY", "takes a property back to its default", true, true},
        {"add", "add TYPE | add PROPERTY VALUE",
         "opens a new resource; inside one, adds a value to a property that has several", true, true},
        {"select", "select TYPE PROPERTY=VALUE...", "opens the one resource that is like that, to change it", true,
         false},
        {"remove", "remove [-F] TYPE [PROPERTY=VALUE...] | remove PROPERTY VALUE",
         "removes a resource (-F: all that are like that); inside one, a value of a property", true, true},
        {"end", "end", "puts the open resource into the configuration", false, true},
        {"cancel", "cancel", "closes the open resource and forgets what was changed in it", false, true},
        {"info", "info [TYPE | PROPERTY]", "shows the configuration, one kind of resource, or one property", true,
         true},
        {"export", "export [-f FILE]", "writes the commands that make this configuration again", true, false},
        {"verify", "verify", "says what is wrong with the configuration", true, false},
        {"commit", "commit", "saves the configuration", true, false},
        {"revert", "revert [-F]", "forgets all changes since the last commit", true, false},
        {"delete", "delete [-F]", "deletes the zone's configuration; its tree is not touched", true, false},
        {"help", "help [COMMAND]", "shows the commands, or one of them", true, true},
        {"exit", "exit [-F]", "saves what was changed and ends; -F ends without saving", true, true},
    };
    return kCommands;
}

Result<std::string> help_text(std::string_view command) {
    std::string out;
    for (const ConfigCommand& each : config_commands()) {
        if (command == each.name) return std::string(each.usage) + "\n\t" + each.what + "\n";
        out += std::string(each.usage) + "\n";
    }
    if (!command.empty()) {
        return Error(Errc::usage, "there is no command '" + printable(command) + "'").remedy("help");
    }
    out += "resources:";
    for (const ResourceType& type : resource_types()) out += std::string(" ") + type.name;
    return out + "\n";
}

std::vector<std::string> complete_command(std::string_view line, std::string_view open_type,
                                          const std::vector<Resource>& resources) {
    if (const std::size_t semicolon = line.rfind(';'); semicolon != std::string_view::npos)
        line.remove_prefix(semicolon + 1);
    std::vector<std::string_view> before = split_words(line);
    std::string_view begun;
    if (!before.empty() && line.back() != ' ' && line.back() != '\t') {
        begun = before.back();
        before.pop_back();
    }
    Candidates out;
    if (before.empty())
        add_commands(!open_type.empty(), out);
    else
        add_arguments(before, open_type, resources, out);
    // "autoboot=" itself is of no use once it stands there, nor are values before the '='.
    const bool has_equals = begun.find('=') != std::string_view::npos;
    std::erase_if(out, [&](const std::string& each) {
        const std::size_t equals = each.find('=');
        const bool is_value = equals != std::string::npos && equals + 1 < each.size();
        return !each.starts_with(begun) || is_value != (has_equals && equals != std::string::npos);
    });
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

}  // namespace zoneferry
