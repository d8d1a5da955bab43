// zonecfg: configures the zones of this host. The language is in core/zone/zonecfg_session.h.
//
//   zonecfg [--root DIR] -z ZONE                     commands from stdin; at a terminal a conversation
//   zonecfg [--root DIR] -z ZONE -f FILE             commands from a file ("-": stdin)
//   zonecfg [--root DIR] -z ZONE 'COMMAND; COMMAND'  commands from the arguments
//
// Exit status: 0 done, 1 failed (nothing was saved), 2 usage.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "agent/programs/zonecfg_create_from.h"
#include "agent/programs/zonecfg_terminal.h"
#include "core/base/files.h"
#include "core/zone/owner_record.h"
#include "core/zone/store.h"
#include "core/zone/zonecfg_session.h"
#include "core/zone/zonecfg_words.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kCommandsBytesMax = 1U << 20U;

class StoreHost final : public ConfigHost {
public:
    StoreHost(HostRoot root, ZoneName name) : store_(std::move(root)), name_(std::move(name)) {}

    Result<std::optional<ZoneConfig>> load() override {
        ZF_TRY(seen_, stored());
        return seen_;
    }

    Result<ZoneConfig> template_of(const std::string& name) override {
        if (auto config = built_in_template(name); config) return *std::move(config);
        ZF_TRY(const ZoneName other, ZoneName::create(name));
        ZF_TRY(ZoneConfig config, store_.config(other));
        // The copy is not there yet: its place is not the other zone's.
        config.zonepath.clear();
        return config;
    }

    Result<ZoneConfig> from_detached(const std::string& zonepath) override {
        std::string path = zonepath;
        while (path.size() > 1 && path.ends_with('/')) path.pop_back();
        return detached_configuration(store_.root(), path, name_);
    }

    Status check_creatable() override {
        ZF_TRY(const std::optional<OwnerRecord> record, OwnerStore(store_.root()).load(name_, ""));
        if (!record || record->state != Ownership::incoming) return {};
        return Error(Errc::conflict,
                     "the name " + name_.str() + " is reserved: a move is bringing a zone of that name here")
            .remedy("zoneferry status " + record->move_id);
    }

    Status commit(const ZoneConfig& config, bool overwrite) override {
        ZF_TRY(const ZoneLock lock, store_.lock(name_));
        ZF_TRY_STATUS(check_unchanged());
        ZF_TRY_STATUS(overwrite ? store_.save_config(lock, config) : store_.create(lock, config));
        ZF_TRY(seen_, stored());
        return {};
    }

    Status remove() override {
        ZF_TRY(const ZoneLock lock, store_.lock(name_));
        ZF_TRY_STATUS(check_unchanged());
        return store_.remove(lock);
    }

    Status write_export(const std::string& path, const std::string& text) override {
        return replace_file(path, text, 0644);
    }

private:
    Result<std::optional<ZoneConfig>> stored() const {
        if (auto found = store_.find(name_); !found) {
            if (found.error().code() == Errc::not_found) return std::optional<ZoneConfig>();
            return std::move(found).error();
        }
        ZF_TRY(ZoneConfig config, store_.config(name_));
        return std::optional<ZoneConfig>(std::move(config));
    }

    // The lock is held only while saving, so that a conversation left open stops nobody from booting the zone.
    Status check_unchanged() const {
        ZF_TRY(const std::optional<ZoneConfig> now, stored());
        if (now == seen_) return {};
        return Error(Errc::conflict, "the configuration of zone " + name_.str() +
                                         " was changed by another since it was read here; nothing was saved")
            .remedy("revert (which shows the other's work), then make your changes again");
    }

    ZoneStore store_;
    ZoneName name_;
    std::optional<ZoneConfig> seen_;  // what is stored, as this session knows it
};

constexpr const char* kUsage = "usage: zonecfg [--root DIR] -z ZONE [-f FILE | 'COMMAND; COMMAND' ...]\n";

int usage() {
    std::fputs(kUsage, stderr);
    return 2;
}

int help() {
    const auto commands = help_text();
    std::printf(
        "%s\nWithout -f and commands they are read from the standard input, at a terminal with completion "
        "(Tab).\nCommands, separated by ';' or newlines:\n\n%s",
        kUsage, commands ? commands->c_str() : "");
    return 0;
}

int fail(const Error& error) {
    std::fprintf(stderr, "zonecfg: %s\n", error.text().c_str());
    if (!error.remedy_text().empty()) std::fprintf(stderr, "  try: %s\n", error.remedy_text().c_str());
    return error.code() == Errc::usage ? 2 : 1;
}

struct Options {
    std::string root;
    std::string zone;
    std::string file;
    std::string commands;
};

bool parse_options(const std::vector<std::string>& words, Options& options) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const bool more = i + 1 < words.size();
        // Each argument is one word of a command, unless it holds several: zonecfg -z z set autoboot=true
        if (!options.commands.empty())
            options.commands += " " + words[i];
        else if (words[i] == "--root" && more)
            options.root = words[++i];
        else if (words[i].starts_with("--root="))
            options.root = words[i].substr(7);
        else if (words[i] == "-z" && more)
            options.zone = words[++i];
        else if (words[i] == "-f" && more)
            options.file = words[++i];
        else if (words[i].starts_with('-'))
            return false;
        else
            options.commands = words[i];
    }
    return !options.zone.empty() && (options.file.empty() || options.commands.empty());
}

Result<std::string> read_commands(const Options& options) {
    if (!options.commands.empty()) return options.commands;
    if (options.file.empty() || options.file == "-") return read_to_end(STDIN_FILENO, kCommandsBytesMax);
    return read_file(options.file, kCommandsBytesMax);
}

int run(const std::vector<std::string>& words) {
    Options options;
    if (const char* root = std::getenv("ZONEFERRY_ROOT"); root != nullptr) options.root = root;
    if (!words.empty() && (words.front() == "--help" || words.front() == "-h")) return help();
    if (!parse_options(words, options)) return usage();
    const auto name = ZoneName::create(options.zone);
    if (!name) return fail(name.error());
    StoreHost host{HostRoot(options.root), *name};
    ConfigSession session(name->str(), host, [](const std::string& text) { std::fputs(text.c_str(), stdout); });
    if (options.commands.empty() && options.file.empty() && ::isatty(STDIN_FILENO) == 1)
        return converse(session, name->str(), fail);
    const auto commands = read_commands(options);
    if (!commands) return fail(commands.error());
    const Status done = session.run(*commands);
    std::fflush(stdout);
    return done ? 0 : fail(done.error());
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) { return zoneferry::run(std::vector<std::string>(argv + 1, argv + argc)); }
