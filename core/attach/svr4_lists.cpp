#include "core/attach/svr4_lists.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/base/text.h"

namespace zoneferry {
namespace {

void sort_each_once(std::vector<std::string>& list) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
}

bool is_directory_type(char type) { return type == 'd' || type == 'x'; }
bool is_editable_type(char type) { return type == 'e' || type == 'v'; }

}  // namespace

bool is_inherited(const std::vector<std::string>& inherited, std::string_view path) {
    return std::any_of(inherited.begin(), inherited.end(), [&](const std::string& directory) {
        return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
    });
}

Svr4Lists make_svr4_lists(const UpdatePlan& plan, const std::vector<SpooledPackage>& packages,
                          const ContentsTable& zone, const std::vector<std::string>& inherited,
                          const std::function<bool(const std::string&, const std::string&)>& has_removal_script) {
    Svr4Lists lists;
    lists.inherited = inherited;
    std::set<std::string, std::less<>> gone;
    std::set<std::string, std::less<>> removed;
    for (const UpdateStep& step : plan.steps) {
        if (step.action != UpdateAction::add) gone.insert(step.package);
        if (step.action == UpdateAction::remove) removed.insert(step.package);
        if (step.action != UpdateAction::remove) lists.pkg_add.push_back(step.package);
    }
    lists.pkg_rm.assign(gone.begin(), gone.end());

    std::map<std::string, bool, std::less<>> brought;  // path: it is a directory
    for (const SpooledPackage& package : packages) {
        if (package.is_hollow) continue;
        for (const PkgmapEntry& entry : package.entries) {
            if (is_inherited(inherited, entry.path)) continue;
            brought[entry.path] = entry.is_directory();
            if (entry.is_editable())
                lists.gz_ed_list.push_back(entry.path);
            else if (std::string_view("fsld").find(entry.type) != std::string_view::npos)
                lists.gz_cp_list.push_back(entry.path);
        }
    }
    for (const auto& entry : zone.records()) {  // clang 14: a lambda takes no structured binding
        const std::string& path = entry.first;
        const ContentsRecord& record = entry.second;
        const bool all_go = std::all_of(record.owners.begin(), record.owners.end(),
                                        [&](const auto& owner) { return gone.contains(owner.package); });
        if (!all_go || is_inherited(inherited, path) || path == "/") continue;
        if (is_editable_type(record.type)) lists.ngz_ed_list.push_back(path);
        const auto again = brought.find(path);
        if (again != brought.end() && again->second == is_directory_type(record.type)) continue;
        const bool by_script = std::any_of(record.owners.begin(), record.owners.end(), [&](const auto& owner) {
            const std::string& klass = record.class_for(owner.package);
            return removed.contains(owner.package) && klass != "none" && has_removal_script(owner.package, klass);
        });
        const bool is_file = record.type == 'f' || is_editable_type(record.type);
        if (is_file && by_script) continue;
        if (record.type != 'c' && record.type != 'b') lists.rmlist.push_back(path);
    }
    for (auto* list : {&lists.pkg_add, &lists.gz_cp_list, &lists.gz_ed_list, &lists.ngz_ed_list, &lists.rmlist})
        sort_each_once(*list);
    std::reverse(lists.rmlist.begin(), lists.rmlist.end());
    return lists;
}

std::string svr4_lists_text(const Svr4Lists& lists) {
    const std::pair<const char*, const std::vector<std::string>*> all[] = {
        {"inherited", &lists.inherited},   {"pkg_rm", &lists.pkg_rm},         {"pkg_add", &lists.pkg_add},
        {"gz_cp_list", &lists.gz_cp_list}, {"gz_ed_list", &lists.gz_ed_list}, {"ngz_ed_list", &lists.ngz_ed_list},
        {"rmlist", &lists.rmlist}};
    std::string out;
    for (const auto& [name, list] : all) {
        out += std::string("***** ") + name + " *****\n";
        for (const std::string& line : *list) out += printable(line) + "\n";
    }
    return out;
}

}  // namespace zoneferry
