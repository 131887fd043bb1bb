//! Which module of a crate names which other, found in its syntax tree.
//!
//! A name that a module gets through another's `use` counts as what it stands for, so that a circle cannot hide behind a
//! re-export. Parents and children may know each other; a module and everything below it count as one towards its siblings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, UseTree};

/// The names from the crate's root down to a module, or of a path in the code.
type Names = Vec<String>;

/// The modules of one library or program.
pub struct Modules {
    root: PathBuf,
    modules: BTreeMap<Names, Module>,
}

#[derive(Default)]
struct Module {
    /// What its `use` items bring in: a name here, and its path.
    imports: Vec<(String, Names)>,
    /// Every path in it.
    paths: BTreeSet<Names>,
}

/// Children of one module: for each the siblings it depends on, with an example.
type Siblings = BTreeMap<String, BTreeMap<String, String>>;

impl Modules {
    /// Reads a crate from its first file on.
    pub fn read(root: &Path) -> Self {
        let mut modules = Self { root: root.to_owned(), modules: BTreeMap::new() };
        let folder = root.parent().unwrap();
        modules.add(Vec::new(), &parse(root).items, folder);
        modules
    }

    /// Circles, in words.
    pub fn circles(&self) -> Vec<String> {
        let mut families: BTreeMap<Names, Siblings> = BTreeMap::new();
        for (from, module) in &self.modules {
            let imported = module.imports.iter().map(|(_, path)| path);
            for to in imported.chain(&module.paths).filter_map(|path| self.resolve(from, path, 0)) {
                let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
                if let (Some(one), Some(other)) = (from.get(common), to.get(common)) {
                    let siblings = families.entry(from[..common].to_vec()).or_default();
                    let example = format!("{} uses {}", from.join("::"), to.join("::"));
                    siblings.entry(one.clone()).or_default().entry(other.clone()).or_insert(example);
                }
            }
        }
        families.iter().filter_map(|(parent, siblings)| self.circle(parent, siblings)).collect()
    }

    fn circle(&self, parent: &[String], siblings: &Siblings) -> Option<String> {
        let walk = siblings.keys().find_map(|first| way_back(siblings, first))?;
        let steps = walk.windows(2).map(|pair| format!("    {}", siblings[&pair[0]][&pair[1]]));
        let place = if parent.is_empty() { "the crate".to_owned() } else { parent.join("::") };
        Some(format!("  {}, in {place}:\n{}", self.root.display(), steps.collect::<Vec<_>>().join("\n")))
    }

    fn add(&mut self, name: Names, items: &[Item], folder: &Path) {
        let mut reader = Reader::default();
        for item in items {
            match item {
                Item::Mod(child) if is_test(&child.attrs) => {}
                Item::Mod(child) => self.add_child(&name, child, folder),
                other => reader.visit_item(other),
            }
        }
        self.modules.insert(name, Module { imports: reader.imports, paths: reader.paths });
    }

    fn add_child(&mut self, parent: &[String], child: &ItemMod, folder: &Path) {
        let own = child.ident.to_string();
        let name = [parent, std::slice::from_ref(&own)].concat();
        let below = folder.join(&own);
        match &child.content {
            Some((_, items)) => self.add(name, items, &below),
            None => self.add(name, &parse(&below.with_extension("rs")).items, &below),
        }
    }

    /// The module that a path in another one leads to; `None` when that is outside of the crate.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.to_vec(),
            "super" => from.split_last()?.1.to_vec(),
            _ if self.is_known(from, first) => return self.descend(from.to_vec(), path, depth),
            _ => return None,
        };
        let mut rest = rest;
        while let Some((_, further)) = rest.split_first().filter(|(next, _)| *next == "super") {
            at.pop()?;
            rest = further;
        }
        self.descend(at, rest, depth)
    }

    fn is_known(&self, module: &[String], name: &str) -> bool {
        let imports = self.modules.get(module).map(|module| &module.imports);
        self.modules.contains_key(&[module, &[name.to_owned()]].concat())
            || imports.is_some_and(|imports| imports.iter().any(|(known, _)| known == name))
    }

    fn descend(&self, mut at: Names, path: &[String], depth: usize) -> Option<Names> {
        for (index, name) in path.iter().enumerate() {
            let below = [at.as_slice(), std::slice::from_ref(name)].concat();
            if self.modules.contains_key(&below) {
                at = below;
                continue;
            }
            let import = self.modules.get(&at)?.imports.iter().find(|(known, _)| known == name);
            return match import {
                // Two modules that re-export one name from each other would never end.
                Some((_, target)) if depth < 8 => {
                    let further = [target.as_slice(), &path[index + 1..]].concat();
                    self.resolve(&at, &further, depth + 1)
                }
                _ => Some(at),
            };
        }
        Some(at)
    }
}

/// The shortest walk from a module over its siblings back to itself, its first and last step being the module.
fn way_back(siblings: &Siblings, first: &String) -> Option<Vec<String>> {
    let mut walks = vec![vec![first.clone()]];
    let mut seen = BTreeSet::new();
    while !walks.is_empty() {
        let mut longer = Vec::new();
        for walk in walks {
            for next in siblings.get(walk.last()?).into_iter().flat_map(BTreeMap::keys) {
                let walk = [walk.as_slice(), std::slice::from_ref(next)].concat();
                if next == first {
                    return Some(walk);
                }
                if seen.insert(next.clone()) {
                    longer.push(walk);
                }
            }
        }
        walks = longer;
    }
    None
}

fn parse(file: &Path) -> syn::File {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

/// Collects the paths of a module.
#[derive(Default)]
struct Reader {
    imports: Vec<(String, Names)>,
    paths: BTreeSet<Names>,
}

impl Reader {
    fn import(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &with(&path.ident)),
            UseTree::Name(name) if name.ident == "self" => {
                self.imports.push((before.last().cloned().unwrap_or_default(), before.to_vec()));
            }
            UseTree::Name(name) => self.imports.push((name.ident.to_string(), with(&name.ident))),
            UseTree::Rename(name) => self.imports.push((name.rename.to_string(), with(&name.ident))),
            UseTree::Glob(_) => self.imports.push(("*".to_owned(), before.to_vec())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before)),
        }
    }

    /// Macros take any tokens; what looks like a path from the crate's root or a parent is one.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path: Names = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    let name = name.to_string();
                    if path.last().is_some_and(|last| last == "::") {
                        path.pop();
                        path.push(name);
                    } else {
                        self.take(&mut path);
                        path.push(name);
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    if path.last().is_some_and(|last| last == ":") {
                        path.pop();
                        path.push("::".to_owned());
                    } else {
                        path.push(":".to_owned());
                    }
                }
                TokenTree::Group(group) => {
                    self.take(&mut path);
                    self.scan(group.stream());
                }
                _ => self.take(&mut path),
            }
        }
        self.take(&mut path);
    }

    fn take(&mut self, path: &mut Names) {
        let path: Names = std::mem::take(path).into_iter().filter(|name| !name.starts_with(':')).collect();
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.paths.insert(names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.scan(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}
