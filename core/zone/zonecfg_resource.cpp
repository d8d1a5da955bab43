// zonecfg inside a resource: the draft is checked when 'end' puts it into the configuration.
#include <algorithm>

#include "core/base/text.h"
#include "core/zone/zonecfg_session.h"

namespace zoneferry {
namespace {

Error usage(const std::string& sentence) { return Error(Errc::usage, sentence); }

struct Named {
    std::string name;
    std::string value;
};

// "NAME VALUE..." of add and remove; a value may hold blanks: (priv=a, limit=1, action=none).
Result<Named> named_value(const std::vector<std::string>& words) {
    if (words.size() < 3) return usage("expected PROPERTY VALUE");
    Named out{words[1], ""};
    for (std::size_t i = 2; i < words.size(); ++i) out.value += words[i];
    return out;
}

std::vector<std::string> parts_of(const std::string& value) {
    if (!value.starts_with('[') || !value.ends_with(']')) return {value};
    std::vector<std::string> out;
    for (const std::string_view part : split(std::string_view(value).substr(1, value.size() - 2), ',')) {
        if (!trim(part).empty()) out.emplace_back(trim(part));
    }
    return out;
}

}  // namespace

Status ConfigSession::run_resource_command(const Words& words) {
    const std::string& verb = words[0];
    if (verb == "set") return set_property(words);
    if (verb == "clear") return clear_property(words);
    if (verb == "help") return help(words);
    if (verb == "add") return add_property(words);
    if (verb == "remove") return remove_property(words);
    if (verb == "end") return end();
    if (verb == "cancel") {
        draft_.reset();
        return {};
    }
    if (verb == "info") {
        std::string out = draft_->type + ":\n";
        for (const auto& [name, value] : draft_->properties) out += "\t" + name + ": " + printable(value) + "\n";
        print_(out);
        return {};
    }
    if (verb == "exit" && words.size() == 2 && words[1] == "-F") {
        done_ = true;
        return {};
    }
    if (verb == "exit") return usage("a resource of type " + draft_->type + " is open: type 'end' or 'cancel' first");
    return usage("not possible inside a resource of type " + draft_->type +
                 " (set, clear, add, remove, info, help, end, cancel)");
}

Status ConfigSession::set_property(const Words& words) {
    std::string text;
    for (std::size_t i = 1; i < words.size(); ++i) text += (i == 1 ? "" : " ") + words[i];
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) return usage("expected PROPERTY=VALUE, got '" + printable(text) + "'");
    const std::string name(trim(text.substr(0, equals)));
    std::string value = text.substr(equals + 1);
    if (words.size() > 2 && value.starts_with(' ')) value.erase(0, 1);
    const ResourceType& type = *resource_type(draft_->type);
    const bool known =
        std::any_of(type.properties.begin(), type.properties.end(), [&](const char* each) { return each == name; });
    if (!known) return usage(draft_->type + " has no property '" + printable(name) + "'");
    std::erase_if(draft_->properties, [&](const auto& each) { return each.first == name; });
    const bool repeated = type.repeated != nullptr && name == type.repeated;
    for (const std::string& part : repeated ? parts_of(value) : std::vector<std::string>{value}) {
        draft_->properties.emplace_back(name, part);
    }
    return {};
}

Status ConfigSession::clear_property(const Words& words) {
    if (words.size() != 2) return usage("clear PROPERTY");
    const ResourceType& type = *resource_type(draft_->type);
    const auto is_named = [&](const char* each) { return words[1] == each; };
    if (std::none_of(type.properties.begin(), type.properties.end(), is_named))
        return usage(draft_->type + " has no property '" + printable(words[1]) + "'");
    if (std::any_of(type.required.begin(), type.required.end(), is_named))
        return usage("'" + words[1] + "' of " + draft_->type + " cannot be cleared: it must be set");
    std::erase_if(draft_->properties, [&](const auto& each) { return each.first == words[1]; });
    return {};
}

Status ConfigSession::add_property(const Words& words) {
    ZF_TRY(const Named given, named_value(words));
    const char* repeated = resource_type(draft_->type)->repeated;
    if (repeated == nullptr || given.name != repeated) {
        return usage("nothing can be added to '" + printable(given.name) + "' of " + draft_->type);
    }
    for (const std::string& part : parts_of(given.value)) draft_->properties.emplace_back(given.name, part);
    return {};
}

Status ConfigSession::remove_property(const Words& words) {
    ZF_TRY(const Named given, named_value(words));
    for (const std::string& part : parts_of(given.value)) {
        const auto removed = std::erase_if(
            draft_->properties, [&](const auto& each) { return each.first == given.name && each.second == part; });
        if (removed == 0)
            return Error(Errc::not_found, draft_->type + " has no " + printable(given.name) + " " + printable(part));
    }
    return {};
}

Status ConfigSession::end() {
    for (const char* required : resource_type(draft_->type)->required) {
        const bool given = std::any_of(draft_->properties.begin(), draft_->properties.end(),
                                       [&](const auto& each) { return each.first == required; });
        if (!given) return usage(draft_->type + " needs '" + required + "'");
    }
    std::vector<Resource> resources = resources_;
    if (selected_) {
        resources[*selected_] = *draft_;
    } else {
        resources.push_back(*draft_);
    }
    ZF_TRY_STATUS(set_resources(*config_, resources));
    resources_ = resources_of(*config_);
    draft_.reset();
    selected_.reset();
    changed_ = true;
    return {};
}

}  // namespace zoneferry
