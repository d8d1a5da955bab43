#include "agent/move/moved_tree.h"

#include <algorithm>

#include "agent/context.h"
#include "core/base/text.h"

namespace zoneferry {
namespace {

// "": the zonepath's own. ".fs1": an extra's.
std::string mark(const MovedTree& tree) { return tree.is_zonepath() ? "" : ".fs" + std::to_string(tree.number); }

std::string beside(const HostRoot& root, const MovedTree& tree, const std::string& kind, const std::string& move_id) {
    const std::size_t slash = tree.path.rfind('/');
    return root.at(tree.path.substr(0, slash + 1) + ".zoneferry-" + kind + mark(tree) + "-" + move_id);
}

}  // namespace

MovedTree zonepath_tree(const MoveRecord& record) {
    return {0, record.zonepath, record.tree_bytes, record.tree_entries};
}

std::string extra_trees_text(const std::vector<ExtraTree>& trees) {
    std::string text;
    for (const ExtraTree& tree : trees) {
        text += std::to_string(tree.bytes) + " " + std::to_string(tree.entries) + " " + tree.path + "\n";
    }
    return text;
}

std::vector<MovedTree> extra_trees(const MoveRecord& record) {
    std::vector<MovedTree> trees;
    for (const std::string_view line : split(record.extra_trees, '\n')) {
        const std::size_t first = line.find(' ');
        const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
        if (second == std::string_view::npos) continue;  // behind the last line
        const auto bytes = parse_number<std::uint64_t>(line.substr(0, first));
        const auto entries = parse_number<std::uint64_t>(line.substr(first + 1, second - first - 1));
        const auto number = static_cast<std::uint32_t>(trees.size() + 1);
        trees.push_back({number, std::string(line.substr(second + 1)), bytes.value_or(0), entries.value_or(0)});
    }
    return trees;
}

bool sends_zonepath(const MoveRecord& record) { return !record.uses_kept_copy && record.shared == SharedKind::none; }

std::vector<MovedTree> sent_trees(const MoveRecord& record) {
    return record.uses_kept_copy ? std::vector<MovedTree>() : own_trees(record);
}

std::optional<MovedTree> sent_tree(const MoveRecord& record, std::uint32_t number) {
    const std::vector<MovedTree> trees = sent_trees(record);
    const auto found =
        std::find_if(trees.begin(), trees.end(), [number](const MovedTree& tree) { return tree.number == number; });
    return found == trees.end() ? std::nullopt : std::optional(*found);
}

std::vector<MovedTree> own_trees(const MoveRecord& record) {
    std::vector<MovedTree> trees;
    if (record.shared == SharedKind::none) trees.push_back(zonepath_tree(record));
    for (MovedTree& tree : extra_trees(record)) trees.push_back(std::move(tree));
    return trees;
}

const std::vector<std::string>& excluded_names(const MovedTree& tree) {
    static const std::vector<std::string> none;
    return tree.is_zonepath() ? excluded_names() : none;
}

std::string staging_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id) {
    return beside(root, tree, "incoming", move_id);
}
std::string kept_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id) {
    return beside(root, tree, "kept", move_id);
}
std::string trash_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id) {
    return beside(root, tree, "trash", move_id);
}

std::string snapshot_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id) {
    return beside(root, tree, "snapshot", move_id);
}
std::string received_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id) {
    return beside(root, tree, "received", move_id);
}

std::string move_file(const HostRoot& root, const MovedTree& tree, const std::string& move_id,
                      const std::string& name) {
    return move_directory(root, move_id) + "/" + name + mark(tree);
}
std::string digests_path(const HostRoot& root, const MovedTree& tree, const std::string& move_id, bool contents) {
    return move_file(root, tree, move_id, contents ? "digests" : "digests-meta");
}

}  // namespace zoneferry
