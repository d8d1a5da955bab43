#include "core/zone/zonecfg_session.h"

#include <algorithm>
#include <utility>

#include "core/base/text.h"
#include "core/zone/zonecfg_words.h"

namespace zoneferry {
namespace {

using Words = std::vector<std::string>;

Error usage(const std::string& sentence) { return Error(Errc::usage, sentence); }

struct Assignment {
    std::string name;
    std::string value;
};

// "name=value", also with blanks around '='. The tokens from first on belong to it.
Result<Assignment> assignment(const Words& words, std::size_t first) {
    std::string text;
    for (std::size_t i = first; i < words.size(); ++i) text += (i == first ? "" : " ") + words[i];
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        return usage("expected PROPERTY=VALUE, got '" + printable(text) + "'");
    // Blanks around '=' are words of their own here; a value's own blanks stood in quotes and stay.
    const bool loose = words.size() > first + 1;
    const std::string value = text.substr(equals + 1);
    return Assignment{std::string(trim(text.substr(0, equals))),
                      loose && value.starts_with(' ') ? value.substr(1) : value};
}

// A value as zonecfg reads it back.
std::string quoted(const std::string& value) {
    const bool plain = !value.empty() && value.find_first_of(" \t;#\"\\") == std::string::npos;
    if (plain) return value;
    std::string out = "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

bool is_property(const ResourceType& type, std::string_view name) {
    return std::any_of(type.properties.begin(), type.properties.end(), [&](const char* each) { return each == name; });
}

std::string info_of(const Resource& resource) {
    std::string out = resource.type + ":\n";
    for (const auto& [name, value] : resource.properties) out += "\t" + name + ": " + printable(value) + "\n";
    return out;
}

}  // namespace

Result<std::vector<Words>> split_commands(std::string_view line) {
    std::vector<Words> commands(1);
    std::string word;
    bool in_word = false;
    bool in_quotes = false;
    const auto end_word = [&] {
        if (in_word) commands.back().push_back(std::exchange(word, ""));
        in_word = false;
    };
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (in_quotes) {
            if (c == '\\' && i + 1 < line.size())
                word += line[++i];
            else if (c == '"')
                in_quotes = false;
            else
                word += c;
        } else if (c == '"') {
            in_quotes = true;
            in_word = true;
        } else if (c == ';') {
            end_word();
            commands.emplace_back();
        } else if (c == '#' && !in_word) {
            break;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            end_word();
        } else {
            word += c;
            in_word = true;
        }
    }
    if (in_quotes) return usage("a quote is not closed");
    end_word();
    std::erase_if(commands, [](const Words& words) { return words.empty(); });
    return commands;
}

std::optional<ZoneConfig> built_in_template(std::string_view name) {
    ZoneConfig config;
    if (name == "SUNWblank") return config;
    if (name != "SUNWdefault") return std::nullopt;
    config.inherited_directories = {"/usr"};
    return config;
}

std::string export_text(const ZoneConfig& config) {
    std::string out = "create -b\n";
    for (const auto& [name, value] : global_properties(config)) {
        if (!value.empty()) out += "set " + name + "=" + quoted(value) + "\n";
    }
    for (const Resource& resource : resources_of(config)) {
        const char* repeated = resource_type(resource.type)->repeated;
        out += "add " + resource.type + "\n";
        for (const auto& [name, value] : resource.properties) {
            const bool adds = repeated != nullptr && name == repeated;
            // A value that looks like a list is written as a list of itself.
            const bool listed = adds && value.starts_with('[') && value.ends_with(']');
            out +=
                (adds ? "add " + name + " " : "set " + name + "=") + quoted(listed ? "[" + value + "]" : value) + "\n";
        }
        out += "end\n";
    }
    return out;
}

ConfigSession::ConfigSession(std::string zone, ConfigHost& host, std::function<void(const std::string&)> print)
    : zone_(std::move(zone)), host_(host), print_(std::move(print)) {}

Status ConfigSession::run(std::string_view commands) {
    int number = 0;
    for (const std::string_view line : split(commands, '\n')) {
        ++number;
        Status done = run_line(line);
        if (!done) return std::move(done).error().during("line " + std::to_string(number));
        if (done_) return {};
    }
    if (draft_)
        return usage("the commands end inside a resource of type " + draft_->type +
                     ": 'end' is missing; nothing was saved");
    return finish();
}

Status ConfigSession::run_line(std::string_view line) {
    ZF_TRY(const std::vector<Words> commands, split_commands(line));
    for (const Words& words : commands) {
        Status done = draft_ ? run_resource_command(words) : run_command(words);
        if (!done) return std::move(done).error().during(printable(words[0]));
        if (done_) return {};
    }
    return {};
}

Status ConfigSession::finish() {
    if (changed_) {
        Status saved = commit();
        if (!saved && confirm_) return std::move(saved).error().remedy("mend it, or leave without saving: exit -F");
        if (!saved) return saved;
    }
    done_ = true;
    return {};
}

Result<bool> ConfigSession::is_configured() {
    const Status loaded = load();
    if (!loaded && loaded.error().code() != Errc::not_found) return loaded.error();
    return loaded.has_value();
}

Status ConfigSession::load() {
    if (!loaded_) {
        ZF_TRY(config_, host_.load());
        loaded_ = true;
        overwrite_ = config_.has_value();
        if (config_) resources_ = resources_of(*config_);
    }
    if (config_) return {};
    return Error(Errc::not_found, "zone " + zone_ + " is not configured").remedy("begin with 'create'");
}

Status ConfigSession::run_command(const Words& words) {
    const std::string& verb = words[0];
    if (verb == "create") return create(words);
    if (verb == "exit") {
        if (words.size() > 1 && words[1] == "-F") changed_ = false;
        return finish();
    }
    if (verb == "help") return help(words);
    if (verb == "revert") return revert(words);
    ZF_TRY_STATUS(load());
    if (verb == "set") return set(words);
    if (verb == "clear") return clear(words);
    if (verb == "add") return add(words);
    if (verb == "select") return select(words);
    if (verb == "remove") return remove(words);
    if (verb == "info") return info(words);
    if (verb == "export") return export_commands(words);
    if (verb == "verify") return verify();
    if (verb == "commit") return commit();
    if (verb == "delete") return erase(words);
    if (verb == "end" || verb == "cancel") return usage("no resource is open");
    return usage("unknown command; 'help' lists them");
}

Status ConfigSession::create(const Words& words) {
    bool overwrite = false;
    std::string from = "SUNWdefault";
    std::string detached;
    int sources = 0;
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (words[i] != "-F") ++sources;
        if (words[i] == "-F")
            overwrite = true;
        else if (words[i] == "-b")
            from = "SUNWblank";
        else if (words[i] == "-t" && i + 1 < words.size())
            from = words[++i];
        else if (words[i] == "-a" && i + 1 < words.size())
            detached = words[++i];
        else
            sources = 2;
    }
    if (sources > 1) return usage("create [-F] [-b | -t TEMPLATE | -a PATH]");
    ZF_TRY_STATUS(host_.check_creatable());
    ZF_TRY(const std::optional<ZoneConfig> stored, host_.load());
    if ((stored || (loaded_ && config_)) && !overwrite) {
        return Error(Errc::conflict, "zone " + zone_ + " exists already")
            .remedy("create -F overwrites its configuration");
    }
    ZF_TRY(ZoneConfig config, detached.empty() ? host_.template_of(from) : host_.from_detached(detached));
    config.name = zone_;
    resources_ = resources_of(config);
    config_ = std::move(config);
    loaded_ = true;
    changed_ = true;
    overwrite_ = stored.has_value();
    return {};
}

Status ConfigSession::set(const Words& words) {
    ZF_TRY(const Assignment given, assignment(words, 1));
    if (given.name == "name" || given.name == "zonename") return usage("a zone's name cannot be changed here");
    ZF_TRY_STATUS(set_global_property(*config_, given.name, given.value));
    changed_ = true;
    return {};
}

Status ConfigSession::clear(const Words& words) {
    if (words.size() != 2) return usage("clear PROPERTY");
    const ZoneConfig fresh;
    for (const auto& [name, value] : global_properties(fresh)) {
        if (name != words[1] || name == "zonepath") continue;
        changed_ = true;
        return set_global_property(*config_, name, value);
    }
    return usage("'" + printable(words[1]) + "' cannot be cleared");
}

Status ConfigSession::add(const Words& words) {
    if (words.size() != 2) return usage("add TYPE");
    if (resource_type(words[1]) == nullptr) return usage("there is no resource type '" + printable(words[1]) + "'");
    draft_ = Resource{words[1], {}};
    selected_.reset();
    return {};
}

Result<std::vector<std::size_t>> ConfigSession::matching(const std::string& type, const Words& words,
                                                         std::size_t first) const {
    const ResourceType* known = resource_type(type);
    if (known == nullptr) return usage("there is no resource type '" + printable(type) + "'");
    std::vector<Assignment> wanted;
    for (std::size_t i = first; i < words.size(); ++i) {
        ZF_TRY(Assignment each, assignment({words[i]}, 0));
        if (!is_property(*known, each.name)) return usage(type + " has no property '" + printable(each.name) + "'");
        wanted.push_back(std::move(each));
    }
    std::vector<std::size_t> out;
    for (std::size_t i = 0; i < resources_.size(); ++i) {
        const bool all = std::all_of(wanted.begin(), wanted.end(), [&](const Assignment& each) {
            return resources_[i].get(each.name) == each.value;
        });
        if (resources_[i].type == type && all) out.push_back(i);
    }
    return out;
}

Status ConfigSession::select(const Words& words) {
    if (words.size() < 2) return usage("select TYPE PROPERTY=VALUE...");
    ZF_TRY(const std::vector<std::size_t> found, matching(words[1], words, 2));
    if (found.empty()) return Error(Errc::not_found, "no " + words[1] + " like that");
    if (found.size() > 1) return usage("more than one " + words[1] + " is like that: name more of its properties");
    selected_ = found.front();
    draft_ = resources_[found.front()];
    return {};
}

Status ConfigSession::remove(const Words& words) {
    const bool force = words.size() > 1 && words[1] == "-F";
    const std::size_t at = force ? 2 : 1;
    if (words.size() <= at) return usage("remove [-F] TYPE [PROPERTY=VALUE...]");
    ZF_TRY(const std::vector<std::size_t> found, matching(words[at], words, at + 1));
    if (found.empty() && !force) return Error(Errc::not_found, "no " + words[at] + " like that");
    if (found.size() > 1 && !force)
        return usage("more than one " + words[at] + " is like that: name more, or remove -F");
    for (std::size_t i = found.size(); i-- > 0;)
        resources_.erase(resources_.begin() + static_cast<std::ptrdiff_t>(found[i]));
    changed_ = changed_ || !found.empty();
    return set_resources(*config_, resources_);
}

Status ConfigSession::info(const Words& words) {
    std::string out;
    if (words.size() == 1) {
        out = "zonename: " + zone_ + "\n";
        for (const auto& [name, value] : global_properties(*config_)) out += name + ": " + printable(value) + "\n";
        for (const Resource& resource : resources_) out += info_of(resource);
    } else if (resource_type(words[1]) != nullptr) {
        for (const Resource& resource : resources_) {
            if (resource.type == words[1]) out += info_of(resource);
        }
    } else {
        for (const auto& [name, value] : global_properties(*config_)) {
            if (name == words[1]) out = name + ": " + printable(value) + "\n";
        }
        if (out.empty()) return usage("there is no resource type or property '" + printable(words[1]) + "'");
    }
    print_(out);
    return {};
}

Status ConfigSession::export_commands(const Words& words) {
    if (words.size() == 3 && words[1] == "-f") return host_.write_export(words[2], export_text(*config_));
    if (words.size() != 1) return usage("export [-f FILE]");
    print_(export_text(*config_));
    return {};
}

Status ConfigSession::verify() {
    ZF_TRY_STATUS(set_resources(*config_, resources_));
    const std::vector<std::string> problems = config_problems(*config_);
    if (problems.empty()) return {};
    std::string all;
    for (const std::string& problem : problems) all += (all.empty() ? "" : "; ") + problem;
    return Error(Errc::invalid, all);
}

Status ConfigSession::commit() {
    ZF_TRY_STATUS(load());
    ZF_TRY_STATUS(verify());
    ZF_TRY_STATUS(host_.commit(*config_, overwrite_));
    changed_ = false;
    overwrite_ = true;
    return {};
}

Status ConfigSession::revert(const Words& words) {
    const bool force = words.size() == 2 && words[1] == "-F";
    if (words.size() > 1 && !force) return usage("revert [-F]");
    if (changed_ && !force && confirm_ && !confirm_("Forget all changes since the last commit (y/[n])? ")) return {};
    loaded_ = false;
    changed_ = false;
    config_.reset();
    resources_.clear();
    return load();
}

Status ConfigSession::help(const Words& words) {
    if (words.size() > 2) return usage("help [COMMAND]");
    ZF_TRY(const std::string text, help_text(words.size() == 2 ? words[1] : ""));
    print_(text);
    return {};
}

Status ConfigSession::erase(const Words& words) {
    const bool force = words.size() == 2 && words[1] == "-F";
    if (words.size() > 1 && !force) return usage("delete [-F]");
    if (!force && !confirm_) return usage("deleting cannot be undone: type 'delete -F'");
    if (!force && !confirm_("Delete the configuration of zone " + zone_ + " (y/[n])? ")) return {};
    ZF_TRY_STATUS(host_.remove());
    config_.reset();
    resources_.clear();
    changed_ = false;
    return {};
}

}  // namespace zoneferry
