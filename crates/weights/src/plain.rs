//! A pickle's plain values as a tree.

use crate::Value;
use crate::pickle::{Id, Node, Nodes};

/// Values that lie deeper are not kept.
const MAX_DEPTH: usize = 32;
/// Values beyond these are not kept.
const MAX_VALUES: usize = 1 << 20;

/// Turns a value into a tree, without the tensors below `weights` and what only holds those.
pub(crate) fn values(nodes: &Nodes, root: Id, weights: Option<Id>) -> Value {
    let mut tree = Tree { nodes, weights, path: vec![], left: MAX_VALUES };
    tree.value(root, false).unwrap_or(Value::None)
}

struct Tree<'a> {
    nodes: &'a Nodes,
    weights: Option<Id>,
    /// The containers around the current value.
    path: Vec<Id>,
    left: usize,
}

impl Tree<'_> {
    /// The value; nothing where it is, or only holds, weights.
    fn value(&mut self, id: Id, among_weights: bool) -> Option<Value> {
        let among_weights = among_weights || Some(id) == self.weights;
        if self.left == 0 {
            return Some(Value::Opaque("left out: there are too many values".into()));
        }
        self.left -= 1;
        let value = match self.nodes.get(id) {
            Node::None => Value::None,
            Node::Bool(truth) => Value::Bool(*truth),
            Node::Int(number) => Value::Int(*number),
            Node::LongInt => Value::Opaque("int".into()),
            Node::Float(number) => Value::Float(*number),
            Node::Str(text) => Value::Str(text.clone()),
            Node::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Node::Global(name) => Value::Opaque(name.clone()),
            Node::Storage(_) => Value::Opaque("torch.Storage".into()),
            Node::Tensor(_) if among_weights => return None,
            Node::Tensor(layout) => {
                Value::Tensor { dtype: layout.dtype, shape: layout.shape.clone() }
            }
            _ if self.path.len() == MAX_DEPTH || self.path.contains(&id) => {
                Value::Opaque("left out: it lies too deep".into())
            }
            container => {
                self.path.push(id);
                let value = self.container(container, among_weights);
                self.path.pop();
                return value;
            }
        };
        Some(value)
    }

    fn container(&mut self, node: &Node, among_weights: bool) -> Option<Value> {
        match node {
            Node::List(items) | Node::Tuple(items) => {
                let kept: Vec<_> =
                    items.iter().filter_map(|&id| self.value(id, among_weights)).collect();
                (!kept.is_empty() || items.is_empty()).then_some(Value::List(kept))
            }
            Node::Object(object) => {
                let items = object.items.iter().enumerate();
                let mut fields: Vec<_> = items
                    .filter_map(|(i, &id)| {
                        Some((Value::Int(i as i64), self.value(id, among_weights)?))
                    })
                    .collect();
                fields.extend(self.pairs(&object.entries, among_weights));
                if let Some(state) = object.state {
                    let nodes = self.nodes;
                    fields.extend(self.pairs(nodes.pairs(state), among_weights));
                }
                Some(Value::Object { class: object.class.clone(), fields })
            }
            Node::Dict(pairs) => {
                let kept = self.pairs(pairs, among_weights);
                (!kept.is_empty() || pairs.is_empty()).then_some(Value::Dict(kept))
            }
            _ => None,
        }
    }

    fn pairs(&mut self, pairs: &[(Id, Id)], among_weights: bool) -> Vec<(Value, Value)> {
        let pair = |&(key, value): &(Id, Id)| {
            let value = self.value(value, among_weights)?;
            Some((self.value(key, false)?, value))
        };
        pairs.iter().filter_map(pair).collect()
    }
}
