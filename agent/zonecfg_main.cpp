// zonecfg: configures the zones of this host. The language is in core/zone/zonecfg_session.h.
//
//   zonecfg [--root DIR] -z ZONE                     commands from stdin
//   zonecfg [--root DIR] -z ZONE -f FILE             commands from a file ("-": stdin)
//   zonecfg [--root DIR] -z ZONE 'COMMAND; COMMAND'  commands from the arguments
//
// Exit status: 0 done, 1 failed (nothing was saved), 2 usage.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "agent/zonecfg_create_from.h"
#include "core/base/files.h"
#include "core/zone/owner_record.h"
#include "core/zone/store.h"
#include "core/zone/zonecfg_session.h"

namespace zoneferry {
namespace {

constexpr std::uint64_t kCommandsBytesMax = 1U << 20U;

class StoreHost final : public ConfigHost {
public:
    StoreHost(HostRoot root, ZoneName name) : store_(std::move(root)), name_(std::move(name)) {}

    Result<std::optional<ZoneConfig>> load() override {
        if (auto found = store_.find(name_); !found) {
            if (found.error().code() == Errc::not_found) return std::optional<ZoneConfig>();
            return std::move(found).error();
        }
        ZF_TRY(ZoneConfig config, store_.config(name_));
        return std::optional<ZoneConfig>(std::move(config));
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
        return detached_configuration(store_.root(), zonepath, name_);
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
        return overwrite ? store_.save_config(lock, config) : store_.create(lock, config);
    }

    Status remove() override {
        ZF_TRY(const ZoneLock lock, store_.lock(name_));
        return store_.remove(lock);
    }

    Status write_export(const std::string& path, const std::string& text) override {
        return replace_file(path, text, 0644);
    }

private:
    ZoneStore store_;
    ZoneName name_;
};

int usage() {
    std::fputs("usage: zonecfg [--root DIR] -z ZONE [-f FILE | 'COMMAND; COMMAND' ...]\n", stderr);
    return 2;
}

int fail(const Error& error) {
    std::fprintf(stderr, "zonecfg: %s\n", error.text().c_str());
    if (!error.remedy_text().empty()) std::fprintf(stderr, "  try: %s\n", error.remedy_text().c_str());
    return error.code() == Errc::usage ? 2 : 1;
}

// On a terminal errors are shown and the next line is read.
int converse(ConfigSession& session, const std::string& zone) {
    std::string line;
    while (!session.is_done()) {
        std::cout << "zonecfg:" << zone << (session.in_resource() ? ":resource> " : "> ") << std::flush;
        if (!std::getline(std::cin, line)) break;
        if (const Status done = session.run_line(line); !done) fail(done.error());
    }
    if (session.is_done()) return 0;
    const Status done = session.finish();
    return done ? 0 : fail(done.error());
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
        if (words[i] == "--root" && more)
            options.root = words[++i];
        else if (words[i].starts_with("--root="))
            options.root = words[i].substr(7);
        else if (words[i] == "-z" && more)
            options.zone = words[++i];
        else if (words[i] == "-f" && more)
            options.file = words[++i];
        else if (words[i].starts_with('-') && options.commands.empty())
            return false;
        // Each argument is one word of a command, unless it holds several: zonecfg -z z set autoboot=true
        else
            options.commands += (options.commands.empty() ? "" : " ") + words[i];
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
    if (!parse_options(words, options)) return usage();
    const auto name = ZoneName::create(options.zone);
    if (!name) return fail(name.error());
    StoreHost host{HostRoot(options.root), *name};
    ConfigSession session(name->str(), host, [](const std::string& text) { std::cout << text; });
    if (options.commands.empty() && options.file.empty() && ::isatty(STDIN_FILENO) == 1)
        return converse(session, name->str());
    const auto commands = read_commands(options);
    if (!commands) return fail(commands.error());
    const Status done = session.run(*commands);
    std::cout.flush();
    return done ? 0 : fail(done.error());
}

}  // namespace
}  // namespace zoneferry

int main(int argc, char** argv) { return zoneferry::run(std::vector<std::string>(argv + 1, argv + argc)); }
