#include "agent/push/push_verify.h"

#include <fcntl.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "agent/move/digest_list.h"
#include "core/base/files.h"
#include "transfer/comparison.h"
#include "transfer/tree_digest.h"

namespace zoneferry {
namespace {

constexpr std::size_t kNamedMax = 10;

std::string digests_of(const PushTree& tree) { return tree.directory + "/digests"; }

Result<bool> digest_both(AgentContext& context, PeerSession& session, const PushTree& tree,
                         const std::string& list_path) {
    VerifyRequest request;
    request.move_id = tree.push_id;
    request.wants_list = !list_path.empty();
    ZF_TRY_STATUS(session.connection().send(std::move(request)));
    DigestOptions options;
    options.excluded = tree.excluded;
    options.threads = std::max(1U, std::thread::hardware_concurrency());
    options.digests_path = digests_of(tree);
    options.tolerate_changes = true;  // then the digests differ, and the lists tell why
    ZF_TRY(UniqueFd root, open_directory(context.root.directory()));
    ZF_TRY(const TreeDigest here, digest_tree(std::move(root), options));
    if (!list_path.empty()) ZF_TRY_STATUS(receive_digest_list(session, list_path, tree.entries));
    ZF_TRY(const VerifyReply there, session.expect<VerifyReply>(kWorkTimeoutMs));
    return here.digest == there.digest;
}

std::int64_t change_time_ns(const struct stat& info) {
    return std::int64_t{info.st_ctim.tv_sec} * 1'000'000'000 + info.st_ctim.tv_nsec;
}

}  // namespace

bool is_changed_since(int root, const std::string& path, bool by_its_directory, std::int64_t since_ns) {
    const auto changed = [&](const std::string& name) {
        const auto opened = open_beneath(root, name, O_PATH | O_NOFOLLOW);
        if (!opened) return false;
        const auto info = stat_fd(opened->get());
        return info && change_time_ns(*info) >= since_ns;
    };
    if (changed(path)) return true;
    if (!by_its_directory) return false;
    const std::size_t slash = path.rfind('/');
    return changed(slash == std::string::npos ? "." : path.substr(0, slash));
}

Result<bool> digests_are_equal(AgentContext& context, PeerSession& session, const PushTree& tree) {
    return digest_both(context, session, tree, {});
}

Result<PushComparison> compare_push(AgentContext& context, PeerSession& session, const PushTree& tree,
                                    std::int64_t pass_began_ns) {
    PushComparison found;
    ZF_TRY(found.is_equal, digests_are_equal(context, session, tree));
    if (found.is_equal) return found;
    ZF_TRY_STATUS(session.need("tree-lists"));
    const std::string list = tree.directory + "/their-digests";
    ZF_TRY(found.is_equal, digest_both(context, session, tree, list));
    ZF_TRY(const UniqueFd root, open_directory(context.root.directory()));
    const auto judge = [&](Unequal how, const std::string& path) {
        // What has another name, or none, by the time of its directory.
        if (is_changed_since(root.get(), path, how != Unequal::differs, pass_began_ns)) {
            ++found.changed;
            return;
        }
        ++found.damaged;
        if (found.damaged_first.size() < kNamedMax) found.damaged_first.push_back(path);
    };
    ZF_TRY(const TreeComparison all, adopt_comparison(digests_of(tree), list, tree.directory + "/catalog", judge));
    if (all.is_equal() && !found.is_equal) {
        ++found.damaged;
        found.damaged_first.emplace_back("hard links");
    }
    ZF_TRY_STATUS(remove_file(list));
    return found;
}

}  // namespace zoneferry
