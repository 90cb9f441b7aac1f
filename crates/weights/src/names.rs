//! Which tensors of a pickle are the weights, and what they are called.

use std::collections::HashSet;

use crate::error::Fault;
use crate::pickle::{Id, Node, Nodes};
use crate::tensor::Layout;

/// Keys under which training frameworks keep the weights, best first.
const KEYS: [&str; 4] = ["state_dict", "model_state_dict", "model", "module"];
/// The tables of a `torch.nn.Module`, in which it keeps all that `state_dict()` shows.
const TABLES: [&str; 3] = ["_parameters", "_buffers", "_modules"];

/// Deeper than any module lies in another.
const MAX_DEPTH: usize = 64;
/// Longer than any tensor's name.
const MAX_NAME: usize = 1024;
/// More tensors than any model has.
const MAX_TENSORS: usize = 1 << 17;
/// Containers looked into; a container that several others hold counts each time.
const MAX_VISITS: usize = 1 << 20;

/// The value that holds the weights.
pub(crate) fn weights(nodes: &Nodes, root: Id) -> Id {
    let below = |key| nodes.entry(root, key).filter(|&id| holds_tensors(nodes, id));
    KEYS.into_iter().find_map(below).unwrap_or(root)
}

/// The tensors below a value with their names, in the file's order.
pub(crate) fn tensors(nodes: &Nodes, weights: Id) -> Result<Vec<(String, Layout)>, Fault> {
    let mut walk = Walk { nodes, found: vec![], barren: HashSet::new(), visits: 0 };
    walk.visit(weights, &mut String::new(), 0)?;
    Ok(walk.found)
}

/// Whether a tensor is a value or lies in its containers.
fn holds_tensors(nodes: &Nodes, root: Id) -> bool {
    let mut seen = HashSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if matches!(nodes.get(id), Node::Tensor(_)) {
            return true;
        }
        open.extend(
            children(nodes, id).into_iter().map(|(_, id)| id).filter(|&id| seen.insert(id)),
        );
    }
    false
}

struct Walk<'a> {
    nodes: &'a Nodes,
    found: Vec<(String, Layout)>,
    /// Containers without tensors, which need not be looked into again.
    barren: HashSet<Id>,
    visits: usize,
}

impl Walk<'_> {
    fn visit(&mut self, id: Id, name: &mut String, depth: usize) -> Result<(), Fault> {
        match self.nodes.get(id) {
            Node::Tensor(layout) => {
                if self.found.len() == MAX_TENSORS {
                    return Fault::refused(format!("it holds more than {MAX_TENSORS} tensors"));
                }
                self.found.push((name.clone(), (**layout).clone()));
                return Ok(());
            }
            Node::Object(object) if object.class.starts_with("torch._") => {
                let class = &object.class;
                return Fault::refused(format!("`{name}` is a tensor made by {class}"));
            }
            Node::Dict(_) | Node::List(_) | Node::Tuple(_) | Node::Object(_) => {}
            _ => return Ok(()),
        }
        if self.barren.contains(&id) {
            return Ok(());
        }
        self.visits += 1;
        if depth == MAX_DEPTH || self.visits == MAX_VISITS {
            return Fault::refused("its containers lie too deep in one another");
        }
        let (before, length) = (self.found.len(), name.len());
        for (key, child) in children(self.nodes, id) {
            if let Some(key) = key {
                if length > 0 {
                    name.push('.');
                }
                name.push_str(&key);
            }
            if name.len() > MAX_NAME {
                return Fault::refused("the name of a tensor has more than a thousand letters");
            }
            self.visit(child, name, depth + 1)?;
            name.truncate(length);
        }
        if self.found.len() == before {
            self.barren.insert(id);
        }
        Ok(())
    }
}

/// What a container holds, each with its part of the name.
fn children(nodes: &Nodes, id: Id) -> Vec<(Option<String>, Id)> {
    match nodes.get(id) {
        Node::List(items) | Node::Tuple(items) => {
            items.iter().enumerate().map(|(index, &id)| (Some(index.to_string()), id)).collect()
        }
        Node::Dict(pairs) => named(nodes, pairs),
        Node::Object(object) => {
            let mut children = named(nodes, &object.entries);
            let Some(state) = object.state else { return children };
            let tables = TABLES.map(|table| nodes.entry(state, table));
            if tables.iter().all(Option::is_some) {
                children.extend(tables.into_iter().flatten().map(|table| (None, table)));
            } else {
                children.extend(named(nodes, nodes.pairs(state)));
            }
            children
        }
        _ => vec![],
    }
}

/// Pairs whose keys can be parts of names.
fn named(nodes: &Nodes, pairs: &[(Id, Id)]) -> Vec<(Option<String>, Id)> {
    let key = |id| match nodes.get(id) {
        Node::Str(text) => Some(text.to_string()),
        Node::Int(number) => Some(number.to_string()),
        _ => None,
    };
    pairs.iter().filter_map(|&(k, value)| Some((Some(key(k)?), value))).collect()
}
