// What an update or an install of an image did: plan, each step, each script's output, result. Line by line into a file
// of the host, from the first one on, and at the end as a whole into the zone:
//
//     host   /var/log/zoneferry/zones/NAME.update.log or NAME.install.log, appended to
//     zone   update, dpkg: /var/log/zoneferry-update.log, replaced
//            update, svr4: /var/sadm/system/logs/update_log; an older one is renamed to update_log.yymmdd-HH:MM:SS
//            install: /var/log/zoneferry-install.log, replaced
//
// The zone's file is written below open directories of its tree; a link in the way is not followed but told.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/base/fd.h"
#include "core/base/host_root.h"
#include "core/packages/package.h"

namespace zoneferry {

class UpdateLog {
public:
    enum class Kind { update, install };

    // echo: is given every line as well, without its time; may be empty.
    static Result<UpdateLog> open(const HostRoot& root, const std::string& zone, Kind kind = Kind::update,
                                  std::function<void(std::string_view)> echo = {});

    // One line or more, printable already; nothing more once the log is full. What cannot be written is not an error:
    // the update itself counts.
    void add(std::string_view text);
    void add_always(std::string_view text);  // how it ended: also into a full log
    Status write_into_zone(int zone_root, PackageSystem system) const;
    const std::string& host_path() const { return host_path_; }  // as the host names it

private:
    Kind kind_ = Kind::update;
    std::function<void(std::string_view)> echo_;
    std::string host_path_;
    UniqueFd file_;
    std::string text_;
    bool is_full_ = false;
};

}  // namespace zoneferry
