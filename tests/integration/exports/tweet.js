window.YTD.tweet.part0 = [
 {
  "retweeted": false,
  "entities": {
   "hashtags": [],
   "urls": []
  },
  "favorite_count": 3,
  "id_str": "836878678225846273",
  "id": "836878678225846273",
  "retweet_count": 1,
  "created_at": "Wed Mar 01 10:00:00 +0000 2017",
  "full_text": "An older archive",
  "lang": "en"
 }
]