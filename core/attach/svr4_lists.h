// What an SVR4 update does to a zone's files, decided before anything is touched: the lists of the original's
// attach_update, by the same names, which is how they stand in the update log.
//
//   pkg_rm, pkg_add   packages; a replaced one is in both
//   gz_cp_list        paths that come from the global zone: files, directories, links; not what is inherited, and not
//                     what only hollow packages have
//   gz_ed_list        editable and volatile files of pkg_add; never overwritten where they exist, but by class scripts
//   ngz_ed_list       the same of pkg_rm, as the zone has them
//   rmlist            paths that every owner gives up and nobody brings again, deepest first; obsolete editable and
//                     volatile files among them. Not those that a class script of a removed package takes care of
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/attach/svr4_package.h"
#include "core/packages/svr4/contents_table.h"
#include "core/packages/update_plan.h"

namespace zoneferry {

struct Svr4Lists {
    std::vector<std::string> inherited, pkg_rm, pkg_add, gz_cp_list, gz_ed_list, ngz_ed_list, rmlist;
    bool operator==(const Svr4Lists&) const = default;
};

// At or below an inherited directory: the host's, in the zone read-only.
bool is_inherited(const std::vector<std::string>& inherited, std::string_view path);

// has_removal_script: whether class CLASS of the removed package PKG has a script.
Svr4Lists make_svr4_lists(
    const UpdatePlan& plan, const std::vector<SpooledPackage>& packages, const ContentsTable& zone,
    const std::vector<std::string>& inherited,
    const std::function<bool(const std::string& package, const std::string& klass)>& has_removal_script);

// "***** pkg_rm *****" and a line for each entry, for all of them.
std::string svr4_lists_text(const Svr4Lists& lists);

}  // namespace zoneferry
