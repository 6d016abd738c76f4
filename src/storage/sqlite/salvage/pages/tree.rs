//! Goes through a tree from its root, and notes where it cannot go on.

use super::{
    btree::{Kind, Page},
    file::{Pages, Use, Uses},
    leaf::{Rows, rows},
};

/// No tree is deeper: each level holds at least twice as many pages as the one above.
const DEEPEST: usize = 40;

/// Keys of a table between which something may be missing: above the first, up to the second; none for without a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Hole {
    pub(in super::super) above: Option<i64>,
    pub(in super::super) through: Option<i64>,
}

impl Hole {
    /// Everywhere.
    pub(in super::super) const ALL: Self = Self {
        above: None,
        through: None,
    };

    /// Whether it has room for a key that is higher.
    pub(in super::super) fn reaches_above(&self, key: i64) -> bool {
        self.through.is_none_or(|through| through > key)
    }

    /// Whether a key lies in it.
    pub(in super::super) fn contains(&self, key: i64) -> bool {
        self.above.is_none_or(|above| key > above)
            && self.through.is_none_or(|through| key <= through)
    }
}

/// What was found of a tree.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Tree {
    /// Its pages with rows, ascending by their keys; in an index also the inner ones, in no order.
    pub(in super::super) pages: Vec<u32>,
    /// Pages of a table that only lead to others.
    pub(in super::super) inner: Vec<u32>,
    /// Pages whose rows are not where they should be.
    pub(in super::super) disorderly: Vec<u32>,
    /// Where something is missing.
    pub(in super::super) holes: Vec<Hole>,
    /// Rows on pages that can be read which cannot be read themselves.
    pub(in super::super) failed: u64,
    /// Rows that can be read.
    pub(in super::super) rows: u64,
    /// The highest key that was seen anywhere in it.
    pub(in super::super) highest: i64,
}

impl Tree {
    /// Whether nothing of it is missing.
    pub(in super::super) fn is_whole(&self) -> bool {
        self.holes.is_empty() && self.disorderly.is_empty()
    }
}

/// A page that is still to be looked at, and where its keys have to lie.
struct Step {
    page: u32,
    hole: Hole,
    depth: usize,
}

/// Goes through all of it; `visit` sees the rows of each page.
pub(in super::super) fn walk(
    pages: &Pages,
    uses: &mut Uses,
    root: u32,
    visit: impl FnMut(u32, &Rows),
) -> Tree {
    walk_above(pages, uses, root, None, visit)
}

/// Goes only where keys of a table may be that are higher than `above`; everywhere without such.
pub(in super::super) fn walk_above(
    pages: &Pages,
    uses: &mut Uses,
    root: u32,
    above: Option<i64>,
    mut visit: impl FnMut(u32, &Rows),
) -> Tree {
    let mut tree = Tree::default();
    let mut steps = vec![Step {
        page: root,
        hole: Hole::ALL,
        depth: 0,
    }];
    while let Some(step) = steps.pop() {
        if above.is_some_and(|above| !step.hole.reaches_above(above)) {
            continue;
        }
        let is_found = step.depth < DEEPEST
            && uses.get(step.page) == Use::Unknown
            && visit_page(pages, uses, &step, &mut tree, &mut steps, &mut visit);
        if !is_found {
            tree.holes.push(step.hole);
        }
    }
    tree
}

/// False where there is nothing of a tree.
fn visit_page(
    pages: &Pages,
    uses: &mut Uses,
    step: &Step,
    tree: &mut Tree,
    steps: &mut Vec<Step>,
    visit: &mut impl FnMut(u32, &Rows),
) -> bool {
    let Some(bytes) = pages.read(step.page) else {
        return false;
    };
    let Some(page) = Page::parse(&bytes, pages.usable(), step.page == 1) else {
        return false;
    };
    if page.kind.is_interior() {
        let Some(children) = children(&page, step) else {
            return false;
        };
        tree.highest = children
            .iter()
            .filter_map(|child| child.hole.through)
            .fold(tree.highest, i64::max);
        steps.extend(children.into_iter().rev());
    }
    uses.claim(step.page, Use::Tree);
    if page.kind == Kind::TableInterior {
        tree.inner.push(step.page);
    } else {
        visit_rows(pages, uses, step, tree, visit);
    }
    true
}

fn visit_rows(
    pages: &Pages,
    uses: &mut Uses,
    step: &Step,
    tree: &mut Tree,
    visit: &mut impl FnMut(u32, &Rows),
) {
    let Some(found) = rows(pages, step.page) else {
        return tree.holes.push(step.hole);
    };
    found.claim_overflow(uses);
    tree.failed += found.failed;
    tree.rows += found.rows.len() as u64;
    if found.failed > 0 {
        tree.holes.push(step.hole);
    }
    let is_at_home = !found.is_table || found.rows.iter().all(|row| step.hole.contains(row.id));
    if found.is_in_order && is_at_home {
        tree.pages.push(step.page);
        let last = found.rows.last().map_or(0, |row| row.id);
        tree.highest = tree.highest.max(last);
    } else {
        tree.disorderly.push(step.page);
        tree.holes.push(step.hole);
    }
    visit(step.page, &found);
}

/// The pages below, in order; none where the keys of the page make no sense.
fn children(page: &Page, step: &Step) -> Option<Vec<Step>> {
    let depth = step.depth + 1;
    let mut children = Vec::new();
    let mut above = step.hole.above;
    for cell in page.cells() {
        let cell = cell?;
        let mut hole = Hole::ALL;
        if page.kind.is_table() {
            let follows = above.is_none_or(|above| cell.rowid > above);
            if !follows || !step.hole.contains(cell.rowid) {
                return None;
            }
            hole = Hole {
                above,
                through: Some(cell.rowid),
            };
            above = Some(cell.rowid);
        }
        children.push(Step {
            page: cell.child,
            hole,
            depth,
        });
    }
    children.push(Step {
        page: page.rightmost,
        hole: Hole {
            above: above.filter(|_| page.kind.is_table()),
            through: step.hole.through,
        },
        depth,
    });
    Some(children)
}
