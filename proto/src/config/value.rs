//! One value against its kind: the only place that says what is valid.

use serde_json::Value;

use crate::config::key::Kind;
use crate::config::nearest;
use crate::run::Effort;

/// The value in its canonical form, or what is wrong with it.
pub(crate) fn check(kind: Kind, value: Value) -> Result<Value, String> {
    match kind {
        Kind::Bool => match value {
            Value::Bool(_) => Ok(value),
            _ => Err(wrong("true or false", &value)),
        },
        Kind::Int(low, high) => match value.as_i64() {
            Some(number) if (low..=high).contains(&number) => Ok(value),
            Some(number) => Err(format!("{number} is out of range: {}", range(low, high))),
            None => Err(wrong("a whole number", &value)),
        },
        Kind::Float(low, high) => match value.as_f64() {
            Some(number) if number >= low && number <= high => Ok(Value::from(number)),
            Some(number) => Err(format!("{number} is out of range: it must be {low} to {high}")),
            None => Err(wrong("a number", &value)),
        },
        Kind::Text | Kind::Secret | Kind::Path => match &value {
            Value::String(text) if !text.is_empty() => Ok(value),
            Value::String(_) => Err("it is empty".to_owned()),
            _ => Err(wrong("text", &value)),
        },
        Kind::Choice(choices) => choice(choices, value),
        Kind::Choices(choices) => {
            let items = items(&value)?.iter().map(|item| choice(choices, item.clone()));
            items.collect::<Result<_, _>>().map(Value::Array)
        }
        Kind::Effort => effort(&value),
        Kind::Commands if value.is_string() => check(kind, Value::Array(vec![value])),
        Kind::Commands if items(&value)?.iter().any(|it| it.as_str().is_some_and(blank)) => {
            Err("a command is empty".to_owned())
        }
        Kind::List | Kind::Paths | Kind::Commands => {
            for item in items(&value)? {
                if !item.is_string() {
                    return Err(format!("a list of texts is needed; it holds {}", describe(item)));
                }
            }
            Ok(value)
        }
        Kind::Efforts => {
            items(&value)?.iter().map(effort).collect::<Result<_, _>>().map(Value::Array)
        }
        Kind::Map => match value {
            Value::Object(ref map) if map.values().all(Value::is_string) => Ok(value),
            _ => Err("a table of texts is needed".to_owned()),
        },
        Kind::Servers => servers(value),
        Kind::Prices => prices(value),
    }
}

/// Reads what a person or a variable wrote as text for a key of this kind.
pub(crate) fn from_text(kind: Kind, text: &str) -> Result<Value, String> {
    let value = match kind {
        Kind::Bool => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(format!("`{text}` is not true or false")),
        },
        Kind::Int(..) => {
            Value::from(text.parse::<i64>().map_err(|_| format!("`{text}` is not a whole number"))?)
        }
        Kind::Float(..) => {
            Value::from(text.parse::<f64>().map_err(|_| format!("`{text}` is not a number"))?)
        }
        Kind::Text | Kind::Secret | Kind::Path | Kind::Choice(_) | Kind::Effort => {
            Value::from(text)
        }
        // A comma may be part of one.
        Kind::Commands if !text.trim_start().starts_with('[') => Value::from(text),
        Kind::Commands | Kind::List | Kind::Paths | Kind::Efforts | Kind::Choices(_) => {
            list_from_text(text)?
        }
        Kind::Map | Kind::Servers | Kind::Prices => serde_json::from_str(text)
            .map_err(|error| format!("a JSON object is needed: {error}"))?,
    };
    check(kind, value)
}

fn blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn list_from_text(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text)
            .map_err(|error| format!("a JSON list is needed: {error}"));
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Ok(Value::Array(items.map(Value::from).collect()))
}

fn choice(choices: &[&str], value: Value) -> Result<Value, String> {
    let Value::String(text) = &value else {
        return Err(wrong("text", &value));
    };
    if choices.contains(&text.as_str()) {
        return Ok(value);
    }
    Err(format!("`{text}` is not one of {}", choices.join(", ")))
}

fn effort(value: &Value) -> Result<Value, String> {
    let Value::String(text) = value else {
        return Err(wrong("text", value));
    };
    text.parse::<Effort>().map(|effort| Value::from(effort.as_str()))
}

fn servers(value: Value) -> Result<Value, String> {
    let map = match value {
        Value::Object(map) => map,
        Value::Array(list) => {
            let mut map = serde_json::Map::new();
            for item in list {
                let Value::Object(mut server) = item else {
                    return Err("a list of tables is needed".to_owned());
                };
                let Some(Value::String(name)) = server.remove("name") else {
                    return Err("a server in the list has no `name`".to_owned());
                };
                map.insert(name, Value::Object(server));
            }
            map
        }
        _ => return Err("a table of servers by name is needed".to_owned()),
    };
    for (name, server) in &map {
        crate::mcp::normalise(name, server.clone()).map_err(|error| error.to_string())?;
    }
    Ok(Value::Object(map))
}

/// The most that a million tokens may cost: more is a slip of the finger.
const MOST_PRICE: f64 = 1_000_000.0;

/// Models with a price.
const MOST_PRICES: usize = 1_000;

fn prices(value: Value) -> Result<Value, String> {
    let Value::Object(models) = &value else {
        return Err("a table by model is needed: write `[prices.\"MODEL\"]`".to_owned());
    };
    if models.len() > MOST_PRICES {
        return Err(format!("{} models are more than {MOST_PRICES}", models.len()));
    }
    for (model, price) in models {
        let Value::Object(price) = price else {
            return Err(format!("`{model}`: {}", wrong("a table", price)));
        };
        price_of(price).map_err(|words| format!("`{model}`: {words}"))?;
    }
    Ok(value)
}

fn price_of(price: &serde_json::Map<String, Value>) -> Result<(), String> {
    const PARTS: [&str; 3] = ["input", "output", "cached"];
    for (name, value) in price {
        if !PARTS.contains(&name.as_str()) {
            let near = nearest(name, PARTS).map(|near| format!("; did you mean `{near}`?"));
            return Err(format!("unknown key `{name}`{}", near.unwrap_or_default()));
        }
        check(Kind::Float(0.0, MOST_PRICE), value.clone())
            .map_err(|words| format!("`{name}`: {words}"))?;
    }
    for name in ["input", "output"] {
        if !price.contains_key(name) {
            return Err(format!("`{name}` is missing"));
        }
    }
    Ok(())
}

fn items(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| wrong("a list", value))
}

fn wrong(wanted: &str, value: &Value) -> String {
    format!("{wanted} is needed, not {}", describe(value))
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
    }
}

fn range(low: i64, high: i64) -> String {
    if high == i64::MAX {
        format!("it must be at least {low}")
    } else {
        format!("it must be {low} to {high}")
    }
}
