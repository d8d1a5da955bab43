#include "agent/move/kept_base.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/move/moved_tree.h"
#include "core/base/files.h"
#include "core/image/directory_source.h"

namespace zoneferry {
namespace {

bool is_ours(const std::string& name) {
    const std::vector<std::string>& ours = excluded_names();
    return std::find(ours.begin(), ours.end(), name) != ours.end();
}

Status copy_into(UniqueFd staging, int kept, const AgentContext& context) {
    const auto go_on = [&context] {
        return context.stopping ? Status(Error(Errc::cancelled, "the agent is stopping")) : Status();
    };
    ZF_TRY(ImageWriter writer, ImageWriter::create(std::move(staging)));
    InstallReport ignored;
    ZF_TRY_STATUS(copy_directory(kept, writer, ignored, {},
                                 {.scope = CopyScope::everything, .left_out = excluded_names(), .go_on = go_on}));
    ZF_TRY_STATUS(writer.finish());
    if (::fchmod(writer.root(), 0700) != 0) return system_error("set the mode of staging", errno);
    return writer.sync();  // what is compared now is taken for granted after a power cut, too
}

Status empty(int staging) {
    ZF_TRY(const std::vector<std::string> names, list_directory_fd(staging));
    for (const std::string& name : names) {
        if (!is_ours(name)) ZF_TRY_STATUS(remove_tree_at(staging, name));
    }
    return {};
}

}  // namespace

bool has_copy_as_base(AgentContext& context, const MoveRecord& record) {
    return record.role == Role::target && !record.return_of.empty() && !record.uses_kept_copy &&
           path_exists(context.root.at(record.zonepath) + "/root");
}

Status take_copy_as_base(AgentContext& context, const MoveRecord& record) {
    if (record.phase != Phase::incoming || !has_copy_as_base(context, record)) return {};
    const std::string path = staging_path(context.root, zonepath_tree(record), record.id);
    ZF_TRY(UniqueFd staging, open_directory(path));
    ZF_TRY(const std::vector<std::string> present, list_directory_fd(staging.get()));
    if (!std::all_of(present.begin(), present.end(), is_ours)) return {};
    ZF_TRY(const UniqueFd kept, open_directory(context.root.at(record.zonepath)));
    const Status copied = copy_into(std::move(staging), kept.get(), context);
    if (copied || copied.error().code() == Errc::cancelled) return copied;
    spdlog::warn("move {}: the kept copy cannot be used, everything is sent: {}", record.id, copied.error().text());
    ZF_TRY(staging, open_directory(path));
    return empty(staging.get());
}

}  // namespace zoneferry
