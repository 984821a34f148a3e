//! Tables, buckets and queues: closed, encrypted, and kept as long as they should be.

use bedrock_diy_core::ProjectId;
use serde_json::{Value, json};

use crate::template::{ENVIRONMENTS, Template, items};

#[test]
fn every_table_is_encrypted_can_be_restored_and_outlives_its_stack() {
    let template = Template::prod();
    for (name, table) in template.all("AWS::DynamoDB::Table") {
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST", "{name}");
        assert_eq!(table["SSESpecification"]["SSEEnabled"], true, "{name}");
        let recovery = &table["PointInTimeRecoverySpecification"];
        assert_eq!(recovery["PointInTimeRecoveryEnabled"], true, "{name}");
        assert_eq!(table["DeletionProtectionEnabled"], true, "{name}");
        assert_is_kept(&template, name);
    }
}

#[test]
fn tables_are_named_and_keyed_as_the_adapters_expect() {
    let keys = |table: &Value| -> Vec<String> {
        let key = |key: &Value| key["AttributeName"].as_str().unwrap().to_owned();
        table["KeySchema"].as_array().unwrap().iter().map(key).collect()
    };
    let prod = Template::prod();
    let mut tables: Vec<_> = prod
        .all("AWS::DynamoDB::Table")
        .into_iter()
        .map(|(_, table)| {
            let mut indexes = Vec::new();
            for index in table["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
                indexes.push(format!(
                    "{}({})",
                    index["IndexName"].as_str().unwrap(),
                    keys(index).join(", ")
                ));
            }
            let expires = &table["TimeToLiveSpecification"];
            let expiry = if expires == &json!({ "AttributeName": "ttl", "Enabled": true }) {
                " ttl"
            } else {
                ""
            };
            format!(
                "{}({}){expiry} {}",
                table["TableName"].as_str().unwrap(),
                keys(table).join(", "),
                indexes.join(" ")
            )
            .trim_end()
            .to_owned()
        })
        .collect();
    tables.sort();
    assert_eq!(
        tables,
        [
            "BedrockDiyChatHistory(sessionId, timestamp) ttl byProject(listedIn, lastAt)",
            "BedrockDiyConnections(topic, connectionId) ttl byConnection(connectionId, topic)",
            "BedrockDiyDeliveries(webhookId, deliveryId) ttl",
            "BedrockDiyJobs(jobId, item) ttl byProject(projectId, acceptedAt) byBatch(projectBatch, acceptedAt)",
            "BedrockDiyModelQuota(model, holder) ttl",
            "BedrockDiyProjects(projectId) byOwner(owner, createdAt)",
            "BedrockDiyPromptRevisions(card, revision)",
            "BedrockDiyPrompts(projectId, promptId)",
            "BedrockDiyStageMemo(memoKey) ttl",
            "BedrockDiyWebhooks(projectId, webhookId) byId(webhookId)",
        ]
    );
}

#[test]
fn only_production_has_names_without_its_environment() {
    for environment in ENVIRONMENTS {
        let template = Template::with(&[("Environment", environment)]);
        for (kind, property) in [
            ("AWS::DynamoDB::Table", "TableName"),
            ("AWS::S3::Bucket", "BucketName"),
        ] {
            for (name, properties) in template.all(kind) {
                let named = properties[property].as_str().unwrap();
                let marked = named.ends_with(&format!("-{environment}"));
                assert_eq!(marked, environment != "prod", "{name} is {named}");
            }
        }
    }
}

#[test]
fn every_bucket_is_closed_encrypted_and_versioned_and_outlives_its_stack() {
    let template = Template::prod();
    for (name, bucket) in template.all("AWS::S3::Bucket") {
        let closed = json!({
            "BlockPublicAcls": true,
            "BlockPublicPolicy": true,
            "IgnorePublicAcls": true,
            "RestrictPublicBuckets": true,
        });
        assert_eq!(bucket["PublicAccessBlockConfiguration"], closed, "{name}");
        let owner = &bucket["OwnershipControls"]["Rules"][0]["ObjectOwnership"];
        assert_eq!(owner, "BucketOwnerEnforced", "{name}");
        let encryption = &bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
        assert!(encryption["ServerSideEncryptionByDefault"].is_object(), "{name}");
        assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled", "{name}");
        assert_is_kept(&template, name);
    }
}

#[test]
fn a_revision_of_a_card_never_expires_and_anything_else_does() {
    let template = Template::with(&[("RetentionDays", "90")]);
    for (name, bucket) in template.all("AWS::S3::Bucket") {
        let rules = bucket["LifecycleConfiguration"]["Rules"].as_array().unwrap();
        let says = |what: &str| rules.iter().find_map(|rule| rule.get(what));
        assert!(says("AbortIncompleteMultipartUpload").is_some(), "{name}");
        if name == "PromptsBucket" {
            for rule in rules {
                let expires = rule.as_object().unwrap().keys().find(|key| key.contains("Expir"));
                assert_eq!(expires, None, "{name}: a revision is an object version");
            }
        } else {
            assert!(
                rules
                    .iter()
                    .any(|rule| rule.get("Prefix").is_none()
                        && rule.get("ExpirationInDays") == Some(&json!("90"))),
                "{name}"
            );
            assert!(says("NoncurrentVersionExpiration").is_some(), "{name}");
        }
    }
}

#[test]
fn downloads_expire_and_no_project_s_results_with_them() {
    let template = Template::with(&[("RetentionDays", "90")]);
    let buckets = template.all("AWS::S3::Bucket");
    let (_, results) = buckets.iter().find(|(name, _)| *name == "ResultsBucket").unwrap();
    let rules = results["LifecycleConfiguration"]["Rules"].as_array().unwrap();
    let narrow: Vec<_> = rules.iter().filter(|rule| rule.get("Prefix").is_some()).collect();
    let [rule] = narrow[..] else {
        panic!("one rule is for a part of the bucket: {narrow:?}")
    };
    assert_eq!(rule["Status"], "Enabled");
    assert_eq!(rule["ExpirationInDays"], 1);
    assert_eq!(rule["NoncurrentVersionExpiration"]["NoncurrentDays"], 1);
    assert_eq!(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"], 1);
    let folder = rule["Prefix"].as_str().unwrap();
    assert_eq!(folder, format!("{}/", bedrock_diy_aws::DOWNLOADS));
    assert!(ProjectId::new(bedrock_diy_aws::DOWNLOADS).is_err());
}

#[test]
fn dropped_files_and_nothing_else_start_jobs() {
    let template = Template::prod();
    let mut notified = template.all("AWS::S3::Bucket");
    notified.retain(|(_, bucket)| bucket.get("NotificationConfiguration").is_some());
    let [(name, bucket)] = notified[..] else {
        panic!("one bucket is for dropping files, not {}", notified.len())
    };
    assert_eq!(name, "ArticlesBucket");
    assert_eq!(
        bucket["NotificationConfiguration"],
        json!({ "QueueConfigurations": [{
            "Event": "s3:ObjectCreated:*",
            "Queue": "${BulkQueue.Arn}",
            "Filter": { "S3Key": { "Rules": [{ "Name": "prefix", "Value": "inbox/" }] } },
        }] })
    );
    // S3 asks the queue before it takes the notification on, and the queue lets this bucket in, by its name.
    assert_eq!(template.resource(name)["DependsOn"], "BulkQueuePolicy");
    let statements = &template.properties("BulkQueuePolicy")["PolicyDocument"]["Statement"];
    let arn = format!("arn:aws:s3:::{}", bucket["BucketName"].as_str().unwrap());
    assert_eq!(statements[0]["Condition"]["ArnEquals"]["aws:SourceArn"], arn);
}

#[test]
fn browsers_may_upload_from_one_site_or_none() {
    let cors = |template: &Template| {
        template
            .properties("ArticlesBucket")
            .get("CorsConfiguration")
            .cloned()
    };
    assert_eq!(cors(&Template::prod()), None);
    let site = "https://articles.example.com";
    let cors = cors(&Template::with(&[("WebDomain", site)])).unwrap();
    assert_eq!(items(&cors["CorsRules"][0]["AllowedOrigins"]), [site]);
}

#[test]
fn every_queue_is_encrypted_and_has_somewhere_to_put_what_fails() {
    let template = Template::prod();
    for (name, queue) in template.all("AWS::SQS::Queue") {
        assert_eq!(queue["SqsManagedSseEnabled"], true, "{name}");
        let target = &queue["RedrivePolicy"]["deadLetterTargetArn"];
        if name.ends_with("DeadLetterQueue") {
            assert!(target.is_null(), "{name} is the end of the line");
        } else {
            let dead_letters = name.replace("Queue", "DeadLetterQueue");
            assert_eq!(target, &json!(format!("${{{dead_letters}.Arn}}")), "{name}");
            let allowed = &template.properties(&dead_letters)["RedriveAllowPolicy"]["sourceQueueArns"][0];
            let own = format!(":{}", queue["QueueName"].as_str().unwrap());
            assert!(
                allowed.as_str().unwrap().ends_with(&own),
                "{dead_letters} lets {allowed} in"
            );
        }
    }
}

fn assert_is_kept(template: &Template, name: &str) {
    let resource = template.resource(name);
    assert_eq!(resource["DeletionPolicy"], "RetainExceptOnCreate", "{name}");
    assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
}
