// The language of zonecfg: commands separated by newlines or ';', '#' begins a comment, values may stand in double
// quotes.
//
//   global scope      create [-F] [-b | -t TEMPLATE | -a PATH]   set PROPERTY=VALUE   clear PROPERTY
//                     add TYPE   select TYPE P=V...   remove [-F] TYPE [P=V...]
//                     info [TYPE]   export [-f FILE]   verify   commit   revert [-F]   delete [-F]   exit [-F]
//   resource scope    set PROPERTY=VALUE   clear PROPERTY   add PROPERTY VALUE   remove PROPERTY VALUE   info   end
//                     cancel
//   both              help [COMMAND]
//
// Templates: `create` is SUNWdefault: a sparse zone, /usr is inherited from the host (Linux keeps /lib, /bin and /sbin
// there). `create -b` is SUNWblank: a whole root, nothing inherited. `create -t ZONE` copies another zone's
// configuration.
//
// The session knows no files: it asks a ConfigHost. Every error carries the number of its line.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/zone/resources.h"

namespace zoneferry {

// What a session needs of the host. Replaced in tests.
class ConfigHost {
public:
    virtual ~ConfigHost() = default;
    virtual Result<std::optional<ZoneConfig>> load() = 0;  // the zone's stored configuration; nullopt: there is none
    virtual Result<ZoneConfig> template_of(const std::string& name) = 0;
    virtual Result<ZoneConfig> from_detached(const std::string& zonepath) = 0;  // create -a
    virtual Status check_creatable() = 0;  // the name may be used (no move is bringing it here)
    // Errc::conflict if the stored configuration is no longer what load() gave: another has written meanwhile.
    virtual Status commit(const ZoneConfig& config, bool overwrite) = 0;
    virtual Status remove() = 0;
    virtual Status write_export(const std::string& path, const std::string& text) = 0;
};

class ConfigSession {
public:
    // print gets what info and export show.
    ConfigSession(std::string zone, ConfigHost& host, std::function<void(const std::string&)> print);

    // Runs all commands up to the first error. Commits at the end, or at exit, if something was changed.
    Status run(std::string_view commands);
    // One line, for interactive use; commits only when told to.
    Status run_line(std::string_view line);
    // Commits what was changed; on error the session goes on.
    Status finish();
    bool is_done() const { return done_; }

    // For a person at a terminal. confirm is asked before something is lost (delete, revert); without it delete needs
    // -F.
    void set_confirm(std::function<bool(const std::string&)> confirm) { confirm_ = std::move(confirm); }
    Result<bool> is_configured();                                                    // reads the zone's configuration
    std::string open_type() const { return draft_ ? draft_->type : std::string(); }  // empty: no resource is open
    const std::vector<Resource>& resources() const { return resources_; }

private:
    using Words = std::vector<std::string>;
    Status run_command(const Words& words);
    Status run_resource_command(const Words& words);
    Status load();
    Status create(const Words& words);
    Status set(const Words& words);
    Status clear(const Words& words);
    Status add(const Words& words);
    Status select(const Words& words);
    Status remove(const Words& words);
    Status info(const Words& words);
    Status export_commands(const Words& words);
    Status verify();
    Status commit();
    Status revert(const Words& words);
    Status help(const Words& words);
    Status clear_property(const Words& words);
    Status erase(const Words& words);
    Status set_property(const Words& words);
    Status add_property(const Words& words);
    Status remove_property(const Words& words);
    Status end();
    Result<std::vector<std::size_t>> matching(const std::string& type, const Words& words, std::size_t first) const;

    std::string zone_;
    ConfigHost& host_;
    std::function<void(const std::string&)> print_;
    std::function<bool(const std::string&)> confirm_;  // empty: nobody can be asked
    std::optional<ZoneConfig> config_;
    std::vector<Resource> resources_;
    std::optional<Resource> draft_;
    std::optional<std::size_t> selected_;  // the resource that the draft replaces
    bool loaded_ = false;
    bool changed_ = false;
    bool overwrite_ = false;
    bool done_ = false;
};

// Splits a line into commands and words, purely; a comment ends it.
Result<std::vector<std::vector<std::string>>> split_commands(std::string_view line);
// The commands that make this configuration again.
std::string export_text(const ZoneConfig& config);

// SUNWdefault and SUNWblank; nullopt: no template of that name is built in.
std::optional<ZoneConfig> built_in_template(std::string_view name);

}  // namespace zoneferry
